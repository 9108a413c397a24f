// The parts of UnityEngine that Runtime/Unity needs to compile and to run in a test. They call no methods by
// themselves.

using System;
using System.Collections.Generic;

namespace UnityEngine
{
    [AttributeUsage(AttributeTargets.Class, AllowMultiple = true)]
    public sealed class RequireComponent : Attribute
    {
        public RequireComponent(Type type)
        {
        }
    }

    public sealed class AddComponentMenu : Attribute
    {
        public AddComponentMenu(string menu)
        {
        }
    }

    public sealed class TooltipAttribute : Attribute
    {
        public TooltipAttribute(string text)
        {
        }
    }

    public class Object
    {
    }

    public class Component : Object
    {
        public GameObject gameObject;

        public T GetComponent<T>() where T : Component
        {
            return gameObject.Get<T>();
        }
    }

    public class MonoBehaviour : Component
    {
    }

    public sealed class GameObject : Object
    {
        private readonly List<Component> components = new List<Component>();

        public T AddComponent<T>() where T : Component, new()
        {
            var component = new T { gameObject = this };
            components.Add(component);
            return component;
        }

        public T Get<T>() where T : Component
        {
            return (T)components.Find(each => each is T);
        }
    }

    public sealed class AudioClip : Object
    {
        public float[] samples;

        public static AudioClip Create(string name, int lengthSamples, int channels, int frequency, bool stream)
        {
            return new AudioClip { samples = new float[lengthSamples * channels] };
        }

        public bool SetData(float[] data, int offset)
        {
            data.CopyTo(samples, offset);
            return true;
        }
    }

    public sealed class AudioSource : Component
    {
        public AudioClip clip;
        public bool loop;
        public bool isPlaying;

        public void Play()
        {
            isPlaying = true;
        }
    }

    public static class AudioSettings
    {
        public delegate void AudioConfigurationChangeHandler(bool deviceWasChanged);

        public static event AudioConfigurationChangeHandler OnAudioConfigurationChanged;
        public static int outputSampleRate = 48000;

        public static void GetDSPBufferSize(out int bufferLength, out int numBuffers)
        {
            bufferLength = 1024;
            numBuffers = 4;
        }

        public static void Change(int rate)
        {
            outputSampleRate = rate;
            if (OnAudioConfigurationChanged != null)
                OnAudioConfigurationChanged(true);
        }
    }

    public sealed class Mesh : Object
    {
        public string[] names = new string[0];

        public int blendShapeCount
        {
            get { return names.Length; }
        }

        public string GetBlendShapeName(int shapeIndex)
        {
            return names[shapeIndex];
        }
    }

    public sealed class SkinnedMeshRenderer : Component
    {
        public Mesh sharedMesh;
        public readonly Dictionary<int, float> weights = new Dictionary<int, float>();

        public void SetBlendShapeWeight(int index, float value)
        {
            weights[index] = value;
        }
    }

    public struct Rect
    {
        public Rect(float x, float y, float width, float height)
        {
        }
    }

    public static class GUILayout
    {
        public static void BeginArea(Rect area)
        {
        }

        public static void EndArea()
        {
        }

        public static string TextField(string text)
        {
            return text;
        }

        public static bool Button(string text)
        {
            return false;
        }

        public static void Label(string text)
        {
        }
    }
}
