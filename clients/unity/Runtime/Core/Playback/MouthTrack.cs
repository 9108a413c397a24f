// The weights of the fifteen mouth shapes at any sample, from the keyframes of `timing.visemes`. Pure; not thread-safe.

using System;
using System.Collections.Generic;

namespace Voxwire.Playback
{
    /// <summary>
    /// Fifteen channels, in the order of VisemeShapes. Between two keyframes of a channel its weight is interpolated
    /// linearly; after the last one it stays, before the first one it is 0 (1 for silence). Of several keyframes at one
    /// pts the last counts from there on.
    /// </summary>
    public sealed class MouthTrack
    {
        /// <summary>How many mouth shapes there are.</summary>
        public const int Channels = 15;

        private readonly List<Viseme>[] channels = new List<Viseme>[Channels];

        public MouthTrack()
        {
            for (int id = 0; id < Channels; id++)
                channels[id] = new List<Viseme>();
        }

        /// <summary>Add keyframes, in the order in which they came. Unknown shapes are ignored.</summary>
        public void Add(IEnumerable<Viseme> keyframes)
        {
            foreach (Viseme keyframe in keyframes)
            {
                if (keyframe.Id >= 0 && keyframe.Id < Channels)
                    channels[keyframe.Id].Add(keyframe);
            }
        }

        /// <summary>Fill `weights` (fifteen values) with the weights at a pts; returns it.</summary>
        public float[] Weights(double pts, float[] weights)
        {
            for (int id = 0; id < Channels; id++)
                weights[id] = Weight(channels[id], pts, id == 0 ? 1 : 0);
            return weights;
        }

        /// <summary>Discard the keyframes at or after a pts.</summary>
        public void Forget(long fromPts)
        {
            foreach (List<Viseme> keyframes in channels)
                keyframes.RemoveAll(each => each.Pts >= fromPts);
        }

        /// <summary>
        /// As `Forget`, and close the mouth there: speech in a new session begins with a closed mouth.
        /// </summary>
        public void RestartAt(long fromPts)
        {
            for (int id = 0; id < Channels; id++)
            {
                float closed = id == 0 ? 1 : 0;
                float reached = Weight(channels[id], fromPts, closed);
                channels[id].RemoveAll(each => each.Pts >= fromPts);
                channels[id].Add(new Viseme(id, reached, fromPts));
                channels[id].Add(new Viseme(id, closed, fromPts));
            }
        }

        /// <summary>Discard the keyframes that only matter before a pts.</summary>
        public void ForgetBefore(long pts)
        {
            foreach (List<Viseme> keyframes in channels)
            {
                int at = IndexAt(keyframes, pts);
                if (at > 0)
                    keyframes.RemoveRange(0, at);
            }
        }

        /// <summary>Fill `weights` (fifteen values) with those of a closed mouth; returns it.</summary>
        public static float[] Closed(float[] weights)
        {
            Array.Clear(weights, 0, Channels);
            weights[0] = 1;
            return weights;
        }

        private static float Weight(List<Viseme> keyframes, double pts, float before)
        {
            int at = IndexAt(keyframes, pts);
            if (at < 0)
                return before;
            Viseme from = keyframes[at];
            if (at + 1 == keyframes.Count)
                return from.Weight;
            Viseme to = keyframes[at + 1];
            return from.Weight + (float)((pts - from.Pts) / (to.Pts - from.Pts)) * (to.Weight - from.Weight);
        }

        /// <summary>The last keyframe at or before a pts; -1: none.</summary>
        private static int IndexAt(List<Viseme> keyframes, double pts)
        {
            int low = 0;
            int high = keyframes.Count;
            while (low < high)
            {
                int middle = (low + high) / 2;
                if (keyframes[middle].Pts <= pts)
                    low = middle + 1;
                else
                    high = middle;
            }
            return low - 1;
        }
    }
}
