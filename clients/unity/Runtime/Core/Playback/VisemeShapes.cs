// The fifteen mouth shapes, and their names in other systems. Written by Tests~/generate.py.

namespace Voxwire.Playback
{
    /// <summary>A blend shape of a face and how far a mouth shape moves it, 0 to 1.</summary>
    public struct BlendWeight
    {
        public readonly string Name;
        public readonly float Weight;

        public BlendWeight(string name, float weight)
        {
            Name = name;
            Weight = weight;
        }
    }

    /// <summary>One entry per mouth shape, by its id. Blend shapes that an entry does not name are 0.</summary>
    public static class VisemeShapes
    {
        /// <summary>Oculus LipSync's names.</summary>
        public static readonly string[] Names =
        {
            "sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "I", "O", "U",
        };

        /// <summary>Rhubarb's letters.</summary>
        public static readonly string[] Rhubarb =
        {
            "X", "A", "G", "B", "B", "B", "B", "B", "B", "E", "D", "C", "B", "E", "F",
        };

        /// <summary>Azure's ids.</summary>
        public static readonly int[] Azure =
        {
            0, 21, 18, 17, 19, 20, 16, 15, 19, 13, 2, 4, 6, 8, 7,
        };

        /// <summary>ARKit's 52 blend shapes.</summary>
        public static readonly BlendWeight[][] Arkit =
        {
            new BlendWeight[0],
            new[] { new BlendWeight("mouthPressLeft", 0.45f), new BlendWeight("mouthPressRight", 0.45f), new BlendWeight("mouthRollLower", 0.35f), new BlendWeight("mouthRollUpper", 0.3f) },
            new[] { new BlendWeight("jawOpen", 0.04f), new BlendWeight("mouthRollLower", 0.6f), new BlendWeight("mouthUpperUpLeft", 0.25f), new BlendWeight("mouthUpperUpRight", 0.25f) },
            new[] { new BlendWeight("jawOpen", 0.14f), new BlendWeight("tongueOut", 0.35f), new BlendWeight("mouthLowerDownLeft", 0.2f), new BlendWeight("mouthLowerDownRight", 0.2f), new BlendWeight("mouthUpperUpLeft", 0.12f), new BlendWeight("mouthUpperUpRight", 0.12f) },
            new[] { new BlendWeight("jawOpen", 0.1f), new BlendWeight("mouthLowerDownLeft", 0.22f), new BlendWeight("mouthLowerDownRight", 0.22f), new BlendWeight("mouthUpperUpLeft", 0.12f), new BlendWeight("mouthUpperUpRight", 0.12f), new BlendWeight("mouthStretchLeft", 0.1f), new BlendWeight("mouthStretchRight", 0.1f) },
            new[] { new BlendWeight("jawOpen", 0.16f), new BlendWeight("mouthLowerDownLeft", 0.15f), new BlendWeight("mouthLowerDownRight", 0.15f), new BlendWeight("mouthUpperUpLeft", 0.1f), new BlendWeight("mouthUpperUpRight", 0.1f) },
            new[] { new BlendWeight("jawOpen", 0.07f), new BlendWeight("mouthFunnel", 0.5f), new BlendWeight("mouthPucker", 0.2f), new BlendWeight("mouthUpperUpLeft", 0.1f), new BlendWeight("mouthUpperUpRight", 0.1f) },
            new[] { new BlendWeight("jawOpen", 0.03f), new BlendWeight("mouthStretchLeft", 0.25f), new BlendWeight("mouthStretchRight", 0.25f), new BlendWeight("mouthSmileLeft", 0.15f), new BlendWeight("mouthSmileRight", 0.15f), new BlendWeight("mouthLowerDownLeft", 0.3f), new BlendWeight("mouthLowerDownRight", 0.3f), new BlendWeight("mouthUpperUpLeft", 0.15f), new BlendWeight("mouthUpperUpRight", 0.15f) },
            new[] { new BlendWeight("jawOpen", 0.11f), new BlendWeight("mouthLowerDownLeft", 0.18f), new BlendWeight("mouthLowerDownRight", 0.18f), new BlendWeight("mouthUpperUpLeft", 0.1f), new BlendWeight("mouthUpperUpRight", 0.1f) },
            new[] { new BlendWeight("jawOpen", 0.13f), new BlendWeight("mouthFunnel", 0.35f), new BlendWeight("mouthPucker", 0.25f) },
            new[] { new BlendWeight("jawOpen", 0.6f), new BlendWeight("mouthLowerDownLeft", 0.3f), new BlendWeight("mouthLowerDownRight", 0.3f), new BlendWeight("mouthUpperUpLeft", 0.2f), new BlendWeight("mouthUpperUpRight", 0.2f) },
            new[] { new BlendWeight("jawOpen", 0.34f), new BlendWeight("mouthStretchLeft", 0.3f), new BlendWeight("mouthStretchRight", 0.3f), new BlendWeight("mouthSmileLeft", 0.2f), new BlendWeight("mouthSmileRight", 0.2f), new BlendWeight("mouthLowerDownLeft", 0.3f), new BlendWeight("mouthLowerDownRight", 0.3f), new BlendWeight("mouthUpperUpLeft", 0.15f), new BlendWeight("mouthUpperUpRight", 0.15f) },
            new[] { new BlendWeight("jawOpen", 0.18f), new BlendWeight("mouthStretchLeft", 0.35f), new BlendWeight("mouthStretchRight", 0.35f), new BlendWeight("mouthSmileLeft", 0.35f), new BlendWeight("mouthSmileRight", 0.35f), new BlendWeight("mouthLowerDownLeft", 0.25f), new BlendWeight("mouthLowerDownRight", 0.25f), new BlendWeight("mouthUpperUpLeft", 0.1f), new BlendWeight("mouthUpperUpRight", 0.1f) },
            new[] { new BlendWeight("jawOpen", 0.38f), new BlendWeight("mouthFunnel", 0.5f), new BlendWeight("mouthPucker", 0.25f) },
            new[] { new BlendWeight("jawOpen", 0.14f), new BlendWeight("mouthFunnel", 0.3f), new BlendWeight("mouthPucker", 0.7f) },
        };

        /// <summary>VRM 1.0's expressions aa ih ou ee oh.</summary>
        public static readonly BlendWeight[][] Vrm =
        {
            new BlendWeight[0],
            new BlendWeight[0],
            new[] { new BlendWeight("ih", 0.1f) },
            new[] { new BlendWeight("aa", 0.12f), new BlendWeight("ih", 0.12f) },
            new[] { new BlendWeight("aa", 0.05f), new BlendWeight("ih", 0.2f) },
            new[] { new BlendWeight("aa", 0.12f), new BlendWeight("ih", 0.1f) },
            new[] { new BlendWeight("ou", 0.35f), new BlendWeight("ih", 0.1f) },
            new[] { new BlendWeight("ih", 0.25f) },
            new[] { new BlendWeight("aa", 0.08f), new BlendWeight("ih", 0.15f) },
            new[] { new BlendWeight("oh", 0.2f), new BlendWeight("ou", 0.15f) },
            new[] { new BlendWeight("aa", 1.0f) },
            new[] { new BlendWeight("ee", 1.0f) },
            new[] { new BlendWeight("ih", 1.0f) },
            new[] { new BlendWeight("oh", 1.0f) },
            new[] { new BlendWeight("ou", 1.0f) },
        };
    }
}
