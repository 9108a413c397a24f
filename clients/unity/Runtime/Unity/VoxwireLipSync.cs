// Moves a face's blend shapes with the speech of a VoxwireSpeaker.

using System;
using System.Collections.Generic;
using UnityEngine;
using Voxwire.Playback;

namespace Voxwire.Unity
{
    /// <summary>How a face names its blend shapes.</summary>
    public enum FaceNaming
    {
        /// <summary>viseme_sil, viseme_PP, … viseme_U.</summary>
        Oculus,

        /// <summary>jawOpen, mouthFunnel, …</summary>
        Arkit,

        /// <summary>aa, ih, ou, ee, oh.</summary>
        Vrm,
    }

    /// <summary>
    /// Sets the weights of a SkinnedMeshRenderer after animation. Blend shapes that the face lacks are skipped; names
    /// are compared without case, and without anything up to the last dot. Where a library owns the weights (UniVRM's
    /// expressions), set `SetWeight` and leave `face` empty.
    /// </summary>
    [AddComponentMenu("Voxwire/Voxwire Lip Sync")]
    public sealed class VoxwireLipSync : MonoBehaviour
    {
        public VoxwireSpeaker speaker;
        public SkinnedMeshRenderer face;
        public FaceNaming naming = FaceNaming.Oculus;

        [Tooltip("The weight of a shape that is fully reached; 100 for most faces.")]
        public float fullWeight = 100;

        /// <summary>
        /// Called with each blend shape's name and weight, 0 to 1, in place of setting them on `face`.
        /// </summary>
        public Action<string, float> SetWeight;

        private readonly float[] weights = new float[MouthTrack.Channels];
        private BlendShapeMap map;
        private float[] blends;
        private int[] indices;

        private void Start()
        {
            map = naming == FaceNaming.Arkit ? BlendShapeMap.Arkit() : naming == FaceNaming.Vrm ? BlendShapeMap.Vrm() : BlendShapeMap.Oculus();
            blends = new float[map.Names.Length];
            indices = FindIndices();
        }

        private void LateUpdate()
        {
            if (speaker == null || map == null)
                return;
            map.Apply(speaker.Mouth(weights), blends);
            for (int i = 0; i < blends.Length; i++)
            {
                if (SetWeight != null)
                    SetWeight(map.Names[i], blends[i]);
                else if (indices[i] >= 0)
                    face.SetBlendShapeWeight(indices[i], blends[i] * fullWeight);
            }
        }

        /// <summary>The index of each blend shape in the face's mesh; -1: the mesh lacks it.</summary>
        private int[] FindIndices()
        {
            var byName = new Dictionary<string, int>(StringComparer.OrdinalIgnoreCase);
            Mesh mesh = face == null ? null : face.sharedMesh;
            for (int i = 0; mesh != null && i < mesh.blendShapeCount; i++)
            {
                string name = mesh.GetBlendShapeName(i);
                byName[name.Substring(name.LastIndexOf('.') + 1)] = i;
            }
            return Array.ConvertAll(map.Names, name => byName.ContainsKey(name) ? byName[name] : -1);
        }
    }
}
