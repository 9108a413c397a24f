// Runs the unit tests of this folder, which are the public static methods of some classes, and prints what failed.

using System;
using System.Collections.Generic;
using System.IO;
using System.Reflection;
using System.Text;
using Voxwire.Json;

namespace Voxwire.Tests
{
    /// <summary>
    /// `units.exe run FOLDER` runs the tests with a folder of golden vectors; `units.exe json FILE` rewrites JSON
    /// texts.
    /// </summary>
    internal static class Units
    {
        private static readonly Type[] Groups =
        {
            typeof(JsonTests), typeof(CodePointTests), typeof(MessageTests), typeof(AudioTests), typeof(PlaybackTests),
            typeof(TextTests), typeof(FaceTests),
        };

        private static string vectors;

        public static int Main(string[] args)
        {
            if (args[0] == "json")
                return Rewrite(args[1]);
            vectors = args[1];
            var results = new Dictionary<string, object>();
            foreach (Type group in Groups)
            {
                foreach (MethodInfo test in group.GetMethods(BindingFlags.Public | BindingFlags.Static))
                    results[group.Name + "." + test.Name] = Run(test);
            }
            Console.WriteLine(JsonWriter.Write(results));
            return 0;
        }

        private static string Run(MethodInfo test)
        {
            try
            {
                test.Invoke(null, null);
                return null;
            }
            catch (TargetInvocationException error)
            {
                return error.InnerException.ToString();
            }
        }

        /// <summary>
        /// Replace a file's list of texts by what each is written as after reading it; null where it is not JSON.
        /// </summary>
        private static int Rewrite(string path)
        {
            var written = new List<object>();
            foreach (object text in (List<object>)JsonReader.Read(File.ReadAllText(path, Encoding.UTF8)))
            {
                try
                {
                    written.Add(JsonWriter.Write(JsonReader.Read((string)text)));
                }
                catch (FormatException)
                {
                    written.Add(null);
                }
            }
            File.WriteAllText(path, JsonWriter.Write(written), new UTF8Encoding(false));
            Console.WriteLine(written.Count);
            return 0;
        }

        // -- what tests need ------------------------------------------------------------------------------------------

        internal static object Vectors(string name)
        {
            return JsonReader.Read(File.ReadAllText(Path.Combine(vectors, name), Encoding.UTF8));
        }

        internal static IEnumerable<Dictionary<string, object>> Maps(object list)
        {
            foreach (object each in (List<object>)list)
                yield return (Dictionary<string, object>)each;
        }

        internal static byte[] Bytes(string hex)
        {
            var bytes = new byte[hex.Length / 2];
            for (int i = 0; i < bytes.Length; i++)
                bytes[i] = Convert.ToByte(hex.Substring(2 * i, 2), 16);
            return bytes;
        }

        internal static void That(bool so, string what)
        {
            if (!so)
                throw new Exception(what);
        }

        internal static void Same(object expected, object found, string what)
        {
            string wanted = Sorted(expected);
            string got = Sorted(found);
            if (wanted != got)
                throw new Exception(what + ": expected " + wanted + ", found " + got);
        }

        internal static T Throws<T>(Action action, string what) where T : Exception
        {
            try
            {
                action();
            }
            catch (T error)
            {
                return error;
            }
            throw new Exception(what + ": nothing was thrown");
        }

        /// <summary>JSON with sorted names, without nulls, and with all numbers as doubles.</summary>
        private static string Sorted(object value)
        {
            var map = value as IDictionary<string, object>;
            var list = value as List<object>;
            if (map != null)
            {
                var parts = new List<string>();
                foreach (string name in new SortedSet<string>(map.Keys, StringComparer.Ordinal))
                {
                    if (map[name] != null)
                        parts.Add(JsonWriter.Write(name) + ":" + Sorted(map[name]));
                }
                return "{" + string.Join(",", parts) + "}";
            }
            if (list != null)
                return "[" + string.Join(",", list.ConvertAll(Sorted)) + "]";
            if (value is int || value is long || value is float)
                return JsonWriter.Write(Convert.ToDouble(value));
            return JsonWriter.Write(value);
        }
    }
}
