// Reads typed fields of a JSON object, with errors that name the wrong field.

using System;
using System.Collections.Generic;

namespace Voxwire.Json
{
    /// <summary>A JSON object; `path` is its place in the message. A field that is null counts as left out.</summary>
    internal sealed class JsonMap
    {
        internal const long WholeMax = 9007199254740991;

        private readonly IDictionary<string, object> fields;
        private readonly string path;

        internal JsonMap(IDictionary<string, object> fields, string path)
        {
            this.fields = fields;
            this.path = path;
        }

        internal IEnumerable<string> Names
        {
            get { return fields.Keys; }
        }

        internal bool Has(string name)
        {
            return Get(name) != null;
        }

        internal string Text(string name)
        {
            return Required(name) as string ?? (string)Fail(name, "must be a text");
        }

        internal string OptionalText(string name)
        {
            return Has(name) ? Text(name) : null;
        }

        internal long Whole(string name)
        {
            return WholeOf(Required(name), name);
        }

        internal long? OptionalWhole(string name)
        {
            return Has(name) ? (long?)Whole(name) : null;
        }

        internal int Small(string name)
        {
            long whole = Whole(name);
            return whole <= int.MaxValue ? (int)whole : (int)Fail(name, "is too great");
        }

        internal int? OptionalSmall(string name)
        {
            return Has(name) ? (int?)Small(name) : null;
        }

        internal double Number(string name)
        {
            object value = Required(name);
            if (value is long)
                return (long)value;
            return value is double ? (double)value : (double)Fail(name, "must be a number");
        }

        internal double? OptionalNumber(string name)
        {
            return Has(name) ? (double?)Number(name) : null;
        }

        internal bool Flag(string name)
        {
            object value = Required(name);
            return value is bool ? (bool)value : (bool)Fail(name, "must be true or false");
        }

        internal string OneOf(string name, params string[] known)
        {
            string value = Text(name);
            return Array.IndexOf(known, value) >= 0 ? value : (string)Fail(name, "must be one of " + string.Join(", ", known));
        }

        internal CharRange Range(string name)
        {
            var ends = Required(name) as List<object>;
            if (ends == null || ends.Count != 2)
                Fail(name, "must be two whole numbers");
            long start = WholeOf(ends[0], name);
            long end = WholeOf(ends[1], name);
            if (end < start)
                Fail(name, "ends before it begins");
            return new CharRange(start, end);
        }

        internal JsonMap Map(string name)
        {
            return MapOf(Required(name), name, At(name));
        }

        internal IDictionary<string, object> OptionalRaw(string name)
        {
            if (!Has(name))
                return null;
            return Get(name) as IDictionary<string, object> ?? (IDictionary<string, object>)Fail(name, "must be a map");
        }

        internal List<JsonMap> Maps(string name)
        {
            var maps = new List<JsonMap>();
            if (!Has(name))
                return maps;
            var list = Get(name) as List<object>;
            if (list == null)
                Fail(name, "must be a list");
            for (int i = 0; i < list.Count; i++)
                maps.Add(MapOf(list[i], name + "[" + i + "]", At(name) + "[" + i + "]"));
            return maps;
        }

        internal void Refuse(string name, string problem)
        {
            Fail(name, problem);
        }

        private JsonMap MapOf(object value, string name, string where)
        {
            var map = value as IDictionary<string, object>;
            if (map == null)
                Fail(name, "must be a map");
            return new JsonMap(map, where);
        }

        private long WholeOf(object value, string name)
        {
            if (value is double && Math.Floor((double)value) == (double)value && Math.Abs((double)value) <= WholeMax)
                value = (long)(double)value;
            if (value is long && (long)value >= 0 && (long)value <= WholeMax)
                return (long)value;
            return (long)Fail(name, "must be a whole number");
        }

        private object Get(string name)
        {
            object value;
            return fields.TryGetValue(name, out value) ? value : null;
        }

        private object Required(string name)
        {
            object value = Get(name);
            if (value == null)
                throw VoxwireException.OfField("client.missing_field", At(name), "is missing");
            return value;
        }

        private object Fail(string name, string problem)
        {
            throw VoxwireException.OfField("client.invalid_field", At(name), problem);
        }

        private string At(string name)
        {
            return path.Length == 0 ? name : path + "." + name;
        }
    }
}
