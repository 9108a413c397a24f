// Moves a face's blend shapes with what a speaker says.

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
    /// Sets weights of a SkinnedMeshRenderer after animation. Blend shapes that the face has not are left out; names are compared
    /// without case, and without what stands before the last dot. Where a library owns the weights (UniVRM's expressions), set
    /// `SetWeight` and leave `face` empty.
    /// </summary>
    [AddComponentMenu("Voxwire/Voxwire Lip Sync")]
    public sealed class VoxwireLipSync : MonoBehaviour
    {
        public VoxwireSpeaker speaker;
        public SkinnedMeshRenderer face;
        public FaceNaming naming = FaceNaming.Oculus;

        [Tooltip("The weight of a shape that is fully reached; 100 for most faces.")]
        public float fullWeight = 100;

        /// <summary>Takes a blend shape's name and its weight, 0 to 1, in place of the face.</summary>
        public Action<string, float> SetWeight;

        private readonly float[] weights = new float[MouthTrack.Channels];
        private BlendMap map;
        private float[] blends;
        private int[] places;

        private void Start()
        {
            map = naming == FaceNaming.Arkit ? BlendMap.Arkit() : naming == FaceNaming.Vrm ? BlendMap.Vrm() : BlendMap.Oculus();
            blends = new float[map.Names.Length];
            places = Places();
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
                else if (places[i] >= 0)
                    face.SetBlendShapeWeight(places[i], blends[i] * fullWeight);
            }
        }

        /// <summary>Where the face has each blend shape; -1: nowhere.</summary>
        private int[] Places()
        {
            var known = new Dictionary<string, int>(StringComparer.OrdinalIgnoreCase);
            Mesh mesh = face == null ? null : face.sharedMesh;
            for (int i = 0; mesh != null && i < mesh.blendShapeCount; i++)
            {
                string name = mesh.GetBlendShapeName(i);
                known[name.Substring(name.LastIndexOf('.') + 1)] = i;
            }
            return Array.ConvertAll(map.Names, name => known.ContainsKey(name) ? known[name] : -1);
        }
    }
}
