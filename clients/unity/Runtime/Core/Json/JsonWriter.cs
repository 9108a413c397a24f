// Writes JSON (RFC 8259) from the types that JsonReader returns, and from int and float.

using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace Voxwire.Json
{
    /// <summary>Refuses values that JSON does not have, and lone surrogates.</summary>
    public static class JsonWriter
    {
        /// <summary>Write a value as JSON text.</summary>
        /// <exception cref="ArgumentException">JSON has no such value, or a text has a lone surrogate.</exception>
        public static string Write(object value)
        {
            var output = new StringBuilder();
            Append(output, value, 0);
            return output.ToString();
        }

        private static void Append(StringBuilder output, object value, int depth)
        {
            if (depth > JsonReader.NestingMax)
                throw new ArgumentException("too deeply nested");
            if (value == null)
                output.Append("null");
            else if (value is string)
                AppendText(output, (string)value);
            else if (value is bool)
                output.Append((bool)value ? "true" : "false");
            else if (value is long || value is int)
                output.Append(Convert.ToInt64(value).ToString(CultureInfo.InvariantCulture));
            else if (value is double)
                AppendNumber(output, (double)value, ((double)value).ToString("R", CultureInfo.InvariantCulture));
            else if (value is float)
                AppendNumber(output, (float)value, ((float)value).ToString("R", CultureInfo.InvariantCulture));
            else if (value is IDictionary<string, object>)
                AppendMap(output, (IDictionary<string, object>)value, depth);
            else if (value is IEnumerable)
                AppendList(output, (IEnumerable)value, depth);
            else
                throw new ArgumentException("JSON has no " + value.GetType());
        }

        private static void AppendMap(StringBuilder output, IDictionary<string, object> map, int depth)
        {
            output.Append('{');
            bool first = true;
            foreach (KeyValuePair<string, object> each in map)
            {
                if (!first)
                    output.Append(',');
                first = false;
                AppendText(output, each.Key);
                output.Append(':');
                Append(output, each.Value, depth + 1);
            }
            output.Append('}');
        }

        private static void AppendList(StringBuilder output, IEnumerable list, int depth)
        {
            output.Append('[');
            bool first = true;
            foreach (object each in list)
            {
                if (!first)
                    output.Append(',');
                first = false;
                Append(output, each, depth + 1);
            }
            output.Append(']');
        }

        private static void AppendNumber(StringBuilder output, double number, string digits)
        {
            if (double.IsNaN(number) || double.IsInfinity(number))
                throw new ArgumentException("JSON has no " + number);
            output.Append(digits);
        }

        private static void AppendText(StringBuilder output, string text)
        {
            CodePoints.Check(text);
            output.Append('"');
            foreach (char c in text)
            {
                if (c == '"' || c == '\\')
                    output.Append('\\').Append(c);
                else if (c < ' ')
                    output.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture));
                else
                    output.Append(c);
            }
            output.Append('"');
        }
    }
}
