// The text of a context and the times of its clauses and words; works out what a listener has heard of it. Pure.

using System;
using System.Collections.Generic;
using System.Text;

namespace Voxwire.Speech
{
    /// <summary>
    /// Characters are code points, pts are samples. The server's `cancelled` says the same; this is for the time after
    /// `done`, while buffered audio is still played, and for speech that goes on in another session.
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

        /// <summary>Where in the text the last clause ends of those whose audio has begun to come.</summary>
        internal long SpokenChars
        {
            get { return clauses.Count == 0 ? 0 : clauses[clauses.Count - 1].Chars.End; }
        }

        /// <summary>Append text, without lone surrogates.</summary>
        internal void Append(string more)
        {
            text.Append(more);
            Chars += CodePoints.Count(more);
        }

        /// <summary>Discard the text from a character on.</summary>
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
        /// The character from which a new session has to speak, where audio was received up to `pts`: the beginning of
        /// the first word that was not received whole, or of its clause if its words are not known. Flushed text that
        /// ends at or before `completePts` was received whole.
        /// </summary>
        internal long FirstUnheard(long pts, long completePts)
        {
            int begun = clauses.FindAll(each => each.Pts < pts).Count;
            if (begun == 0)
                return 0;
            Clause clause = clauses[begun - 1];
            bool whole = begun < clauses.Count && clauses[begun].Pts <= pts;
            if (whole || pts <= completePts)
                return clause.Chars.End;
            List<Word> clauseWords = words.FindAll(each => each.Pts >= clause.Pts
                && each.Chars.Start >= clause.Chars.Start && each.Chars.Start < clause.Chars.End);
            if (clauseWords.Count == 0)
                return clause.Chars.Start;
            long receivedChars = clause.Chars.Start;
            foreach (Word word in clauseWords)
            {
                if (word.EndPts > pts)
                    return BackToSpace(word.Chars.Start, receivedChars);
                receivedChars = word.Chars.End;
            }
            // The words of a clause come in several messages: there may be more of them.
            return PastClosing(receivedChars, clause.Chars.End);
        }

        /// <summary>Where the punctuation after a word ends; `end` if only space follows it up to there.</summary>
        private long PastClosing(long chars, long end)
        {
            string rest = CodePoints.Slice(Text, chars, end);
            int at = 0;
            int closing = CodePoints.ClosingAt(rest, ref at);
            return CodePoints.IsBlank(rest, at) ? end : chars + closing;
        }

        /// <summary>Discard the timings of characters from `chars` on, and of audio from `pts` on.</summary>
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

        /// <summary>
        /// What was heard up to `pts`, in whole words. `endPts` is where the last clause ends, null: unknown.
        /// </summary>
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
            List<Word> clauseWords = words.FindAll(each => each.Pts >= clause.Pts && (!clauseEnd.HasValue || each.Pts < clauseEnd.Value));
            if (clauseWords.Count == 0)
                return Evenly(clause, clauseEnd, pts, chars);
            foreach (Word word in clauseWords)
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

        /// <summary>Without word timings: the share of the clause that has been played, in whole words.</summary>
        private long Evenly(Clause clause, long? clauseEnd, long pts, long chars)
        {
            if (!clauseEnd.HasValue)
                return chars;
            long start = clause.Chars.Start;
            long reached = start + (clause.Chars.End - start) * (pts - clause.Pts) / Math.Max(1, clauseEnd.Value - clause.Pts);
            return Math.Max(chars, BackToSpace(reached, start));
        }

        /// <summary>The beginning of the word or punctuation that ends at `chars`, but not before `least`.</summary>
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
