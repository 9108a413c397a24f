// The protocol counts Unicode code points, C# strings count UTF-16 units; these functions convert.

using System;
using System.Globalization;
using System.Text;

namespace Voxwire
{
    /// <summary>Counts, finds and cuts by code points. A lone surrogate counts as one.</summary>
    public static class CodePoints
    {
        /// <summary>How many code points a text has.</summary>
        public static int Count(string text)
        {
            int count = text.Length;
            for (int i = 1; i < text.Length; i++)
            {
                if (char.IsSurrogatePair(text[i - 1], text[i]))
                    count--;
            }
            return count;
        }

        /// <summary>
        /// The index in the string at which a code point begins; the string's length if it has fewer.
        /// </summary>
        public static int IndexOf(string text, long codePoint)
        {
            int index = 0;
            for (long i = 0; i < codePoint && index < text.Length; i++)
                index += Width(text, index);
            return index;
        }

        /// <summary>The part of a text from code point `start`, up to but without `end`.</summary>
        public static string Slice(string text, long start, long end)
        {
            int from = IndexOf(text, start);
            int to = IndexOf(text, Math.Max(start, end));
            return text.Substring(from, to - from);
        }

        /// <summary>The part of a text from a code point on.</summary>
        public static string From(string text, long start)
        {
            return text.Substring(IndexOf(text, start));
        }

        /// <summary>Whether words end at a character: all that Unicode calls White_Space, and U+001C to U+001F.</summary>
        internal static bool IsSpace(char character)
        {
            return (character >= '\u001c' && character <= '\u001f') || (char.IsWhiteSpace(character) && character != '\u180e');
        }

        /// <summary>Whether a text from an index on is nothing but space.</summary>
        internal static bool IsBlank(string text, int index)
        {
            while (index < text.Length && IsSpace(text[index]))
                index++;
            return index == text.Length;
        }

        /// <summary>How many code points belong to the word that ends before an index: neither space nor letter nor number.</summary>
        internal static int ClosingAt(string text, ref int index)
        {
            int count = 0;
            while (index < text.Length && !IsSpace(text[index]) && !IsLetterOrNumber(text, index))
            {
                index += Width(text, index);
                count++;
            }
            return count;
        }

        private static bool IsLetterOrNumber(string text, int index)
        {
            UnicodeCategory category = CharUnicodeInfo.GetUnicodeCategory(text, index);
            return category <= UnicodeCategory.OtherLetter
                || (category >= UnicodeCategory.DecimalDigitNumber && category <= UnicodeCategory.OtherNumber);
        }

        /// <summary>The text with U+FFFD for each lone surrogate: UTF-8 can't encode those.</summary>
        public static string Mend(string text)
        {
            StringBuilder mended = null;
            for (int i = 0; i < text.Length; i++)
            {
                if (!char.IsSurrogate(text[i]))
                    continue;
                if (i + 1 < text.Length && char.IsSurrogatePair(text[i], text[i + 1]))
                {
                    i++;
                    continue;
                }
                mended = mended ?? new StringBuilder(text);
                mended[i] = '\uFFFD';
            }
            return mended == null ? text : mended.ToString();
        }

        internal static void Check(string text)
        {
            for (int i = 0; i < text.Length; i++)
            {
                if (!char.IsSurrogate(text[i]))
                    continue;
                if (i + 1 >= text.Length || !char.IsSurrogatePair(text[i], text[i + 1]))
                    throw new ArgumentException("a lone surrogate can't be written");
                i++;
            }
        }

        internal static void Check(StringBuilder text, Func<string, Exception> wrong)
        {
            for (int i = 0; i < text.Length; i++)
            {
                if (!char.IsSurrogate(text[i]))
                    continue;
                if (i + 1 >= text.Length || !char.IsSurrogatePair(text[i], text[i + 1]))
                    throw wrong("a lone surrogate");
                i++;
            }
        }

        private static int Width(string text, int index)
        {
            return index + 1 < text.Length && char.IsSurrogatePair(text[index], text[index + 1]) ? 2 : 1;
        }
    }
}
