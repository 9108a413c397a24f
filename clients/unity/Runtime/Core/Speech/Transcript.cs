// Keeps what was said of a context's text, clause by clause, and tells what a listener has heard of it. Pure.

using System;
using System.Collections.Generic;
using System.Text;

namespace Voxwire.Speech
{
    /// <summary>
    /// A context's text, and when which part of it sounds. Characters are code points, pts samples. The server tells the
    /// same in `cancelled`; this is for the time after `done`, when a listener still hears what was sent ahead, and for
    /// speech that goes on in another session.
    /// </summary>
    internal sealed class Transcript
    {
        private readonly StringBuilder text = new StringBuilder();
        private readonly List<Clause> clauses = new List<Clause>();
        private readonly List<Word> words = new List<Word>();

        internal long Chars { get; private set; }

        internal string Text
        {
            get { return text.ToString(); }
        }

        /// <summary>How far into the text the clauses go that have begun to sound.</summary>
        internal long SpokenChars
        {
            get { return clauses.Count == 0 ? 0 : clauses[clauses.Count - 1].Chars.End; }
        }

        /// <summary>More text, without lone surrogates.</summary>
        internal void Append(string more)
        {
            text.Append(more);
            Chars += CodePoints.Count(more);
        }

        /// <summary>Forget the text from a character on.</summary>
        internal void Truncate(long chars)
        {
            text.Length = CodePoints.IndexOf(Text, chars);
            Chars = Math.Min(Chars, chars);
        }

        internal void Add(Clause clause)
        {
            clauses.Add(clause);
        }

        internal void Add(Timing timing)
        {
            words.AddRange(timing.Words);
        }

        /// <summary>
        /// The first character to speak anew where audio up to `pts` came and no more: where the first word begins that
        /// did not come whole; where words are not known, the clause. Up to `wholePts` utterances came to their end.
        /// </summary>
        internal long FirstUnheard(long pts, long wholePts)
        {
            int begun = clauses.FindAll(each => each.Pts < pts).Count;
            if (begun == 0)
                return 0;
            Clause clause = clauses[begun - 1];
            bool whole = begun < clauses.Count && clauses[begun].Pts <= pts;
            if (whole || pts <= wholePts)
                return clause.Chars.End;
            List<Word> said = words.FindAll(each => each.Pts >= clause.Pts
                && each.Chars.Start >= clause.Chars.Start && each.Chars.Start < clause.Chars.End);
            if (said.Count == 0)
                return clause.Chars.Start;
            long saidChars = clause.Chars.Start;
            foreach (Word word in said)
            {
                if (word.EndPts > pts)
                    return BackToSpace(word.Chars.Start, saidChars);
                saidChars = word.Chars.End;
            }
            // A clause's words are told in parts: there may be more of them.
            return PastClosing(saidChars, clause.Chars.End);
        }

        /// <summary>Where what closes a word ends, such as its full stop; `end` where nothing but space follows before it.</summary>
        private long PastClosing(long chars, long end)
        {
            string rest = CodePoints.Slice(Text, chars, end);
            int at = 0;
            int closing = CodePoints.ClosingAt(rest, ref at);
            return CodePoints.IsBlank(rest, at) ? end : chars + closing;
        }

        /// <summary>What was said of characters from `chars` on, and of audio from `pts` on, counts no more.</summary>
        internal void Cut(long pts, long chars)
        {
            clauses.RemoveAll(each => each.Pts >= pts || each.Chars.Start > chars);
            for (int i = 0; i < clauses.Count; i++)
            {
                CharRange range = clauses[i].Chars;
                if (range.End > chars)
                    clauses[i] = new Clause { Pts = clauses[i].Pts, Chars = new CharRange(range.Start, Math.Max(range.Start, chars)) };
            }
            words.RemoveAll(each => each.Chars.End > chars || each.EndPts > pts);
        }

        /// <summary>What has been heard up to `pts`: whole words. `endPts` is where the last clause ends, null: unknown.</summary>
        internal Cancelled Heard(long pts, long? endPts)
        {
            string sounding = null;
            long chars = 0;
            for (int i = 0; i < clauses.Count; i++)
            {
                Clause clause = clauses[i];
                long? clauseEnd = i + 1 < clauses.Count ? clauses[i + 1].Pts : endPts;
                if (clauseEnd.HasValue && pts >= clauseEnd.Value)
                {
                    chars = clause.Chars.End;
                    continue;
                }
                if (pts >= clause.Pts)
                    chars = Math.Max(chars, clause.Chars.Start);
                if (pts > clause.Pts)
                    chars = HeardOf(clause, clauseEnd, pts, chars, out sounding);
                break;
            }
            return new Cancelled
            {
                HeardPts = pts,
                HeardChars = chars,
                HeardText = CodePoints.Slice(Text, 0, chars),
                HeardWord = sounding,
                UnheardChars = Chars - chars,
                UnheardText = CodePoints.From(Text, chars),
            };
        }

        private long HeardOf(Clause clause, long? clauseEnd, long pts, long chars, out string sounding)
        {
            sounding = null;
            List<Word> said = words.FindAll(each => each.Pts >= clause.Pts && (!clauseEnd.HasValue || each.Pts < clauseEnd.Value));
            if (said.Count == 0)
                return Evenly(clause, clauseEnd, pts, chars);
            foreach (Word word in said)
            {
                if (word.EndPts > pts)
                {
                    sounding = word.Pts < pts ? word.Text : null;
                    return chars;
                }
                chars = Math.Max(chars, word.Chars.End);
            }
            return chars;
        }

        private long Evenly(Clause clause, long? clauseEnd, long pts, long chars)
        {
            if (!clauseEnd.HasValue)
                return chars;
            long start = clause.Chars.Start;
            long reached = start + (clause.Chars.End - start) * (pts - clause.Pts) / Math.Max(1, clauseEnd.Value - clause.Pts);
            return Math.Max(chars, BackToSpace(reached, start));
        }

        /// <summary>Where the run of characters without a space begins that ends before `char_`; not before `least`.</summary>
        private long BackToSpace(long chars, long least)
        {
            string whole = Text;
            int index = CodePoints.IndexOf(whole, chars);
            while (chars > least && !CodePoints.IsSpace(whole[index - 1]))
            {
                index -= index > 1 && char.IsSurrogatePair(whole[index - 2], whole[index - 1]) ? 2 : 1;
                chars--;
            }
            return chars;
        }
    }
}
