// VoxwireLipSync on stubs of Unity: finding blend shapes, and the closed mouth of a silent speaker.

using System.Reflection;
using UnityEngine;
using Voxwire.Unity;

namespace Voxwire.Tests
{
    internal static class FaceTests
    {
        public static void ASilentSpeakerClosesTheMouthOfAnyNaming()
        {
            SkinnedMeshRenderer face = Moved(FaceNaming.Oculus, "Face.viseme_SIL", "Face.viseme_PP", "smile");
            Units.That(face.weights[0] == 100 && face.weights[1] == 0 && !face.weights.ContainsKey(2), "Oculus");
            face = Moved(FaceNaming.Arkit, "jawOpen", "browDown");
            Units.That(face.weights[0] == 0 && face.weights.Count == 1, "ARKit");
        }

        public static void ALibraryMayTakeTheWeightsInstead()
        {
            var head = new GameObject();
            VoxwireLipSync sync = head.AddComponent<VoxwireLipSync>();
            sync.speaker = head.AddComponent<VoxwireSpeaker>();
            sync.naming = FaceNaming.Vrm;
            string set = "";
            sync.SetWeight = (name, weight) => set += name + weight + " ";
            Call(sync, "Start");
            Call(sync, "LateUpdate");
            Units.That(set.Contains("aa0 ") && set.Split(' ').Length == 6, set);
        }

        private static SkinnedMeshRenderer Moved(FaceNaming naming, params string[] names)
        {
            var head = new GameObject();
            VoxwireLipSync sync = head.AddComponent<VoxwireLipSync>();
            sync.speaker = head.AddComponent<VoxwireSpeaker>();
            sync.face = head.AddComponent<SkinnedMeshRenderer>();
            sync.face.sharedMesh = new Mesh { names = names };
            sync.naming = naming;
            Call(sync, "Start");
            Call(sync, "LateUpdate");
            return sync.face;
        }

        /// <summary>Call a method that Unity calls by its name.</summary>
        internal static void Call(object component, string name, params object[] arguments)
        {
            component.GetType().GetMethod(name, BindingFlags.NonPublic | BindingFlags.Instance).Invoke(component, arguments);
        }
    }
}
