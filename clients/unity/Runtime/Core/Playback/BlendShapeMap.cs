// Turns the weights of the fifteen mouth shapes into weights of a face's own blend shapes. Pure.

using System;
using System.Collections.Generic;

namespace Voxwire.Playback
{
    /// <summary>
    /// `Names` are the blend shapes that a face may have; `Apply` gives their weights. The constructor takes any
    /// mapping.
    /// </summary>
    public sealed class BlendShapeMap
    {
        public readonly string[] Names;
        private readonly float[][] shares;

        /// <summary>
        /// `rows` has, for each of the fifteen mouth shapes, the blend shapes that it moves, and how far.
        /// </summary>
        public BlendShapeMap(IList<BlendWeight[]> rows)
        {
            if (rows.Count != MouthTrack.Channels)
                throw new ArgumentException("one row per mouth shape");
            var names = new List<string>();
            foreach (BlendWeight[] row in rows)
            {
                foreach (BlendWeight each in row)
                {
                    if (!names.Contains(each.Name))
                        names.Add(each.Name);
                }
            }
            Names = names.ToArray();
            shares = new float[rows.Count][];
            for (int id = 0; id < rows.Count; id++)
            {
                shares[id] = new float[Names.Length];
                foreach (BlendWeight each in rows[id])
                    shares[id][names.IndexOf(each.Name)] = each.Weight;
            }
        }

        /// <summary>
        /// Faces with one blend shape per viseme, with Oculus' names: `viseme_sil`, `viseme_PP`, … `viseme_U`.
        /// </summary>
        public static BlendShapeMap Oculus(string prefix = "viseme_")
        {
            return new BlendShapeMap(Array.ConvertAll(VisemeShapes.Names, name => new[] { new BlendWeight(prefix + name, 1) }));
        }

        /// <summary>Faces with ARKit's blend shapes: `jawOpen`, `mouthFunnel`, …</summary>
        public static BlendShapeMap Arkit()
        {
            return new BlendShapeMap(VisemeShapes.Arkit);
        }

        /// <summary>Avatars with VRM 1.0's expressions: `aa`, `ih`, `ou`, `ee`, `oh`.</summary>
        public static BlendShapeMap Vrm()
        {
            return new BlendShapeMap(VisemeShapes.Vrm);
        }

        /// <summary>
        /// Fill `blends` with the weights (0 to 1) of `Names`, for the `weights` of the fifteen shapes; returns
        /// `blends`.
        /// </summary>
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
