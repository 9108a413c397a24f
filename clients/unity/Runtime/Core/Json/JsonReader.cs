// Reads JSON (RFC 8259), strictly: one value, no lone surrogates, nesting up to NestingMax.

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace Voxwire.Json
{
    /// <summary>
    /// Objects become Dictionary&lt;string, object&gt;, arrays List&lt;object&gt;, strings string, whole numbers within
    /// 64 bits long, other numbers double, true and false bool, and null null. Of equal names in an object the last
    /// counts.
    /// </summary>
    public sealed class JsonReader
    {
        /// <summary>How deep objects and arrays may nest; messages of the server stay far below.</summary>
        public const int NestingMax = 512;

        private readonly string text;
        private int at;
        private int depth;

        private JsonReader(string text)
        {
            this.text = text;
        }

        /// <summary>Read a JSON text.</summary>
        /// <exception cref="FormatException">The text is not JSON.</exception>
        public static object Read(string text)
        {
            var reader = new JsonReader(text);
            reader.SkipSpace();
            object value = reader.Value();
            reader.SkipSpace();
            if (reader.at != text.Length)
                throw reader.Wrong("something follows the value");
            return value;
        }

        private object Value()
        {
            char first = Peek();
            switch (first)
            {
                case '{': return Nested(true);
                case '[': return Nested(false);
                case '"': return Text();
                case 't': Word("true"); return true;
                case 'f': Word("false"); return false;
                case 'n': Word("null"); return null;
                default: return Number();
            }
        }

        private object Nested(bool map)
        {
            if (++depth > NestingMax)
                throw Wrong("too deeply nested");
            at++;
            SkipSpace();
            object value = map ? (object)Map() : List();
            depth--;
            return value;
        }

        private Dictionary<string, object> Map()
        {
            var map = new Dictionary<string, object>(StringComparer.Ordinal);
            if (Take('}'))
                return map;
            while (true)
            {
                if (Peek() != '"')
                    throw Wrong("a name is missing");
                string name = Text();
                SkipSpace();
                Expect(':');
                SkipSpace();
                map[name] = Value();
                SkipSpace();
                if (Take('}'))
                    return map;
                Expect(',');
                SkipSpace();
            }
        }

        private List<object> List()
        {
            var list = new List<object>();
            if (Take(']'))
                return list;
            while (true)
            {
                list.Add(Value());
                SkipSpace();
                if (Take(']'))
                    return list;
                Expect(',');
                SkipSpace();
            }
        }

        private string Text()
        {
            int start = ++at;
            while (at < text.Length && text[at] != '"' && text[at] != '\\' && text[at] >= ' ' && !char.IsSurrogate(text[at]))
                at++;
            if (at < text.Length && text[at] == '"')
                return text.Substring(start, at++ - start);
            var whole = new StringBuilder();
            whole.Append(text, start, at - start);
            while (Peek() != '"')
                whole.Append(Character());
            at++;
            CodePoints.Check(whole, Wrong);
            return whole.ToString();
        }

        private char Character()
        {
            char c = text[at++];
            if (c < ' ')
                throw Wrong("a control character is not escaped");
            if (c != '\\')
                return c;
            char escaped = Peek();
            at++;
            switch (escaped)
            {
                case '"':
                case '\\':
                case '/': return escaped;
                case 'b': return '\b';
                case 'f': return '\f';
                case 'n': return '\n';
                case 'r': return '\r';
                case 't': return '\t';
                case 'u': return Unit();
                default: throw Wrong("there is no such escape");
            }
        }

        private char Unit()
        {
            int unit = 0;
            for (int i = 0; i < 4; i++)
            {
                int digit = "0123456789abcdef".IndexOf(char.ToLowerInvariant(Peek()));
                if (digit < 0 || text[at] > 'f')
                    throw Wrong("four hexadecimal digits are missing");
                unit = unit * 16 + digit;
                at++;
            }
            return (char)unit;
        }

        private object Number()
        {
            int start = at;
            Take('-');
            if (!Take('0'))
                Digits();
            bool whole = true;
            if (Take('.'))
            {
                Digits();
                whole = false;
            }
            if (Take('e') || Take('E'))
            {
                if (!Take('+'))
                    Take('-');
                Digits();
                whole = false;
            }
            string digits = text.Substring(start, at - start);
            long integer;
            if (whole && long.TryParse(digits, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out integer))
                return integer;
            double number;
            bool fits = double.TryParse(digits, NumberStyles.Float, CultureInfo.InvariantCulture, out number);
            if (!fits || double.IsInfinity(number))
                throw Wrong("the number is too great");
            return number;
        }

        private void Digits()
        {
            int start = at;
            while (at < text.Length && text[at] >= '0' && text[at] <= '9')
                at++;
            if (at == start)
                throw Wrong("a digit is missing");
        }

        private void Word(string word)
        {
            if (string.CompareOrdinal(text, at, word, 0, word.Length) != 0)
                throw Wrong("no value");
            at += word.Length;
        }

        private void SkipSpace()
        {
            while (at < text.Length && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r'))
                at++;
        }

        private char Peek()
        {
            if (at >= text.Length)
                throw Wrong("the text ends too early");
            return text[at];
        }

        private bool Take(char c)
        {
            if (at >= text.Length || text[at] != c)
                return false;
            at++;
            return true;
        }

        private void Expect(char c)
        {
            if (!Take(c))
                throw Wrong("'" + c + "' is missing");
        }

        private FormatException Wrong(string problem)
        {
            return new FormatException("no JSON at character " + at + ": " + problem);
        }
    }
}
