/** Owns the simulated language model: its answers, their division into tokens, and the pace of the tokens. */

export interface Answer {
  readonly question: string;
  readonly text: string;
}

/** Answers by language, chosen to show numbers, abbreviations, sounds that close the lips, long and short sentences. */
export const ANSWERS: Readonly<Record<string, readonly Answer[]>> = {
  en: [
    {
      question: "Why is the sky blue?",
      text:
        "Sunlight looks white, but it is a mix of every colour. When it meets the air, tiny molecules bump the short blue " +
        "waves about far more than the long red ones. So blue arrives from every part of the sky at once. At sunset the " +
        "light has to pass through much more air, most of the blue is lost on the way, and what is left is orange and red.",
    },
    {
      question: "Book me a table for two.",
      text:
        "Of course. I found a table for two at 7:30 this evening, at the Blue Plum on Baker Street. It's about 12 minutes " +
        "from you on foot, and Mr. Pembroke keeps the window seat free until 8. Shall I book it? If you'd rather eat " +
        "later, there is one more table at 9:15.",
    },
    {
      question: "Tell me something about bees.",
      text:
        "A bumble bee beats its wings about two hundred times a second. To map the way to a blooming plum tree, a honey bee " +
        "performs a waggle dance: the angle tells the others where to fly, and the length tells how far. Put simply, " +
        "bees speak by moving. Maybe that is why people find them so pleasant to watch.",
    },
    {
      question: "How do I boil the perfect egg?",
      text:
        "Bring a small pot of water to a boil, and lower the egg in with a spoon. For a soft yolk, wait six and a half " +
        "minutes. For a firm one, wait ten. Then move the egg to cold water for a minute, so that it stops cooking, and " +
        "the shell will come off easily. Salt, pepper, a bit of butter on warm bread. That's all!",
    },
  ],
  de: [
    {
      question: "Warum ist der Himmel blau?",
      text:
        "Sonnenlicht sieht weiß aus, besteht aber aus allen Farben. In der Luft wird das kurzwellige Blau viel stärker gestreut " +
        "als das langwellige Rot. Deshalb kommt Blau von überall her zu uns.",
    },
  ],
  es: [
    {
      question: "¿Por qué el cielo es azul?",
      text:
        "La luz del sol parece blanca, pero es una mezcla de todos los colores. El aire dispersa mucho más el azul que el rojo, " +
        "y por eso vemos azul en todas partes.",
    },
  ],
  fr: [
    {
      question: "Pourquoi le ciel est-il bleu ?",
      text:
        "La lumière du soleil paraît blanche, mais elle contient toutes les couleurs. L'air disperse bien plus le bleu que le " +
        "rouge : le bleu nous arrive donc de partout.",
    },
  ],
  ja: [
    {
      question: "空はなぜ青いのですか。",
      text: "太陽の光は白く見えますが、いろいろな色が混ざっています。空気の中では、波長の短い青い光がいちばんよく散らばります。だから空は青く見えるのです。",
    },
  ],
  zh: [
    {
      question: "天空为什么是蓝色的？",
      text: "阳光看起来是白色的，其实由各种颜色组成。空气对蓝光的散射比红光强得多，所以蓝光从四面八方来到我们眼前。",
    },
  ],
};

/** The answers in `language` (BCP 47), or in English where there is none. */
export function answersIn(language: string): readonly Answer[] {
  return ANSWERS[language.toLowerCase().split("-")[0]!] ?? ANSWERS["en"]!;
}

/** The tokens of `text`, as a language model's: a space belongs to the word after it, long words are divided. */
export function tokens(text: string): string[] {
  return text.match(/\s?[\p{L}\p{M}]{1,6}|\s?\p{N}{1,3}|\s?[^\s\p{L}\p{M}\p{N}]|\s/gu) ?? [];
}

/** Yields the tokens of `text`, `perSecond()` per second, until `signal` is aborted; calls `onToken` for each one. */
export async function* trickle(
  text: string, perSecond: () => number, signal: AbortSignal, onToken: (token: string) => void,
): AsyncGenerator<string> {
  for (const token of tokens(text)) {
    await pause(1000 / perSecond(), signal);
    if (signal.aborted) return;
    onToken(token);
    yield token;
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
