// JSON and code points, case by case; what a fuzzer finds is compared with Python's in the pytest file.

using System;
using System.Collections.Generic;
using System.Text;
using Voxwire.Json;

namespace Voxwire.Tests
{
    internal static class JsonTests
    {
        public static void NumbersOf64BitsStayExact()
        {
            foreach (long number in new[] { long.MaxValue, long.MinValue, 9007199254740993, -1, 0 })
                Units.That((long)JsonReader.Read(number.ToString()) == number, "read " + number);
            Units.That(JsonWriter.Write(long.MinValue) == "-9223372036854775808", "written");
            Units.That((double)JsonReader.Read("9223372036854775808") == 9223372036854775808.0, "beyond 64 bits");
            Units.That((double)JsonReader.Read("-1.5e-3") == -0.0015, "fraction");
        }

        public static void NestingHasABound()
        {
            string deep = new string('[', JsonReader.NestingMax) + new string(']', JsonReader.NestingMax);
            JsonReader.Read(deep);
            Units.Throws<FormatException>(() => JsonReader.Read("[" + deep + "]"), "one more");
            Units.Throws<FormatException>(() => JsonReader.Read(new string('[', 1000000)), "a million");
        }

        public static void SurrogatesComeInPairs()
        {
            Units.That((string)JsonReader.Read("\"\\ud83c\\udf89\"") == "\U0001F389", "escaped pair");
            Units.That((string)JsonReader.Read("\"\U0001F389\"") == "\U0001F389", "pair");
            foreach (string lone in new[] { "\"\\ud83c\"", "\"\\udf89\\ud83c\"", "\"\\ud83cx\"", "\"\ud83c\"" })
                Units.Throws<FormatException>(() => JsonReader.Read(lone), "lone");
            Units.Throws<ArgumentException>(() => JsonWriter.Write("\ud83c"), "written");
            Units.That((string)JsonReader.Read(JsonWriter.Write("\U0001F389\u0000\"\\\u2028")) == "\U0001F389\u0000\"\\\u2028", "and back");
        }

        public static void WhatIsNoJsonIsRefused()
        {
            string[] wrong =
            {
                "", " ", "{", "[1,]", "{\"a\":1,}", "{a:1}", "01", "1.", ".5", "+1", "-", "1e", "NaN", "Infinity", "tru", "nulls",
                "\"", "\"\n\"", "\"\\x\"", "\"\\u12\"", "\"\\u00g0\"", "[1 2]", "1 1", "{\"a\" 1}", "{1:2}", "\u00a01", "1e999", "'a'",
            };
            foreach (string text in wrong)
                Units.Throws<FormatException>(() => JsonReader.Read(text), text);
        }

        public static void WhatJsonHasNotIsNotWritten()
        {
            Units.Throws<ArgumentException>(() => JsonWriter.Write(double.NaN), "NaN");
            Units.Throws<ArgumentException>(() => JsonWriter.Write(new object()), "an object");
        }
    }

    internal static class CodePointTests
    {
        private const string Text = "a\U0001F389b\u00e9\U0001F469c";

        public static void AreCountedAndFound()
        {
            Units.That(CodePoints.Count(Text) == 6 && Text.Length == 8, "count");
            var indices = new List<object>();
            for (int i = 0; i <= 7; i++)
                indices.Add((long)CodePoints.IndexOf(Text, i));
            Units.Same(JsonReader.Read("[0,1,3,4,5,7,8,8]"), indices, "indices");
            Units.That(CodePoints.Slice(Text, 1, 3) == "\U0001F389b", "slice");
            Units.That(CodePoints.From(Text, 4) == "\U0001F469c", "rest");
        }

        public static void LoneSurrogatesAreMendedInPlace()
        {
            string mended = CodePoints.Mend("\udf89a\ud83c\U0001F389\ud83c");
            Units.That(mended == "\uFFFDa\uFFFD\U0001F389\uFFFD", mended);
            Units.That(CodePoints.Count(mended) == 5, "as many characters");
            Encoding.GetEncoding("utf-8", EncoderFallback.ExceptionFallback, DecoderFallback.ExceptionFallback).GetBytes(mended);
        }
    }
}
