// From the weights of fifteen mouth shapes to those of a face's own blend shapes. Pure.

using System;
using System.Collections.Generic;

namespace Voxwire.Playback
{
    /// <summary>
    /// `Names` are the blend shapes that a face may have; `Apply` gives their weights. `new BlendMap` takes any other naming.
    /// </summary>
    public sealed class BlendMap
    {
        public readonly string[] Names;
        private readonly float[][] shares;

        /// <summary>`of` tells for each of the fifteen shapes which blend shapes it moves, and how far.</summary>
        public BlendMap(IList<BlendWeight[]> of)
        {
            if (of.Count != MouthTrack.Channels)
                throw new ArgumentException("one row a mouth shape");
            var names = new List<string>();
            foreach (BlendWeight[] row in of)
            {
                foreach (BlendWeight each in row)
                {
                    if (!names.Contains(each.Name))
                        names.Add(each.Name);
                }
            }
            Names = names.ToArray();
            shares = new float[of.Count][];
            for (int id = 0; id < of.Count; id++)
            {
                shares[id] = new float[Names.Length];
                foreach (BlendWeight each in of[id])
                    shares[id][names.IndexOf(each.Name)] = each.Weight;
            }
        }

        /// <summary>Faces with one blend shape a viseme, named as Oculus does: `viseme_sil`, `viseme_PP`, … `viseme_U`.</summary>
        public static BlendMap Oculus(string prefix = "viseme_")
        {
            return new BlendMap(Array.ConvertAll(VisemeShapes.Names, name => new[] { new BlendWeight(prefix + name, 1) }));
        }

        /// <summary>Faces with ARKit's blend shapes: `jawOpen`, `mouthFunnel`, …</summary>
        public static BlendMap Arkit()
        {
            return new BlendMap(VisemeShapes.Arkit);
        }

        /// <summary>Avatars with VRM 1.0's expressions: `aa`, `ih`, `ou`, `ee`, `oh`.</summary>
        public static BlendMap Vrm()
        {
            return new BlendMap(VisemeShapes.Vrm);
        }

        /// <summary>The weights (0 to 1) of `Names`, into `blends`, from those of the fifteen; returns it.</summary>
        public float[] Apply(float[] weights, float[] blends)
        {
            for (int i = 0; i < Names.Length; i++)
            {
                float sum = 0;
                for (int id = 0; id < MouthTrack.Channels; id++)
                    sum += weights[id] * shares[id][i];
                blends[i] = Math.Min(1, sum);
            }
            return blends;
        }
    }
}
