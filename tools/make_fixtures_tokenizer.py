"""Writes tests/model/fixtures/spiece.model and tokenizer.json: a small tokenizer and the reference results.

The model is a unigram model with T5's ids and no normaliser (sentencepiece's default table alone is 240 KB).
tokenizer.json holds `encode`: texts and their ids from Python's sentencepiece; and `clean`: texts before and after the
reference's cleaning (ftfy, html.unescape twice, white space collapsed). Needs sentencepiece, ftfy:

    python tools/make_fixtures_tokenizer.py
"""

import html
import json
import random
import re
from pathlib import Path

import ftfy
import sentencepiece

FOLDER = Path(__file__).resolve().parent.parent / "tests/model/fixtures"
WORDS = (
    "a the red blue green hat shirt trousers Ada Bo walks waves jumps stands in on park street beach night morning "
    "camera pans wide medium close-up two-shot person wears with and behind lamp tree, house. window"
).split()
ENCODE = [
    "Ada wears a red hat and green trousers.",
    "Wide shot: Bo waves at the camera, 3 lamps behind the tree.",
    "",
    "   two-shot,\tnight \n",
    "ünïcødé 東京 hat",
    "Zyx",
    "tree & house &amp; window",
    "A cat walks on the street at night.",
    "a  b\tc\n\nd",
    "HELLO, World! 1234567890",
    "x" * 40,
    "?!...;:-_()[]{}<>|/\\@#$%^*+=~`",
    "Ada & Bo's house — “wide” shot",
    "3.14 × 2 ≈ 6.28 °C, 50 % €",
    "medium close-up: the person waves, then jumps; camera pans left.",
    "red red red red",
    "tr",
    " leading and trailing ",
    "UPPER lower MiXeD",
    "naïve façade, smörgåsbord, Żubrówka",
    "Ein Mädchen mit rotem Hut läuft über die Straße.",
    "Une fille au chapeau rouge traverse la rue, à l’aube.",
    "La niña corre por la playa; ¿adónde va? ¡Allá!",
    "A menina não está só: coração e maçã.",
    "Dziewczyna w czerwonym kapeluszu idzie ulicą.",
    "Kız, kırmızı şapkasıyla sokakta yürüyor.",
    "Cô gái đội mũ đỏ đi dạo bên hồ.",
    "Девушка в красной шляпе идёт по улице.",
    "Дівчина в червоному капелюсі біля озера, ґанок.",
    "Το κορίτσι με το κόκκινο καπέλο περπατά.",
    "ילדה בכובע אדום הולכת ברחוב.",
    "فتاة ترتدي قبعة حمراء تمشي في الشارع.",
    "دختری با کلاه قرمز کنار دریاچه.",
    "लाल टोपी पहने लड़की सड़क पर चलती है।",
    "লাল টুপি পরা মেয়েটি হাঁটছে।",
    "சிவப்பு தொப்பி அணிந்த பெண் நடக்கிறாள்.",
    "ผู้หญิงสวมหมวกสีแดงเดินอยู่ริมทะเลสาบ",
    "一位戴红帽子的女孩在湖边散步。",
    "一位戴紅帽子的女孩，在湖邊散步！",
    "赤い帽子の女の子が湖のほとりを歩く。",
    "カメラがゆっくりとパンする。ﾊﾝｶｸ",
    "빨간 모자를 쓴 소녀가 호숫가를 걷는다.",
    "წითელქუდა გოგონა ტბასთან.",
    "Կարմիր գլխարկով աղջիկը լճի մոտ։",
    "ቀይ ኮፍያ ያደረገች ልጅ።",
    "hat 🎩, wave 👋🏽, family 👨‍👩‍👧, flag 🇯🇵",
    "é, Å, ő and ǆ, ŉ ﬅ ﬆ",
    "\u200bzero\u200dwidth\ufeff",
    "１２３ ＡＢＣ ｆｕｌｌ",
    "mixed 東京 and Москва with hat",
    "Co\u0302 ga\u0301i \u0111o\u0323\u0302i mu\u0303 \u0111o\u0309, a red hat",
]
CLEAN = [
    "  plain\t text \r\n over  lines ",
    "caf&eacute; &lang;&amp;amp;&rang; bar &amp;lt;b&amp;gt;",
    "AT&T &ampersand &notit; &notin; &eacute &alpha; &alpha",
    "&#8217; &#x1F3A9; &#150; &#0; &#xD800; &#99999999999; &#7; &#13;x &#; &#x; &#xFDD0;y",
    "&unknown; & &; &&amp;& &quot;q&QUOT; &nbsp;&thinsp;end",
    "zero\u0000 bell\u0007 mark\ufeff tab\u000bend\u001c \u007f",
    "wide\u3000space\u00a0\u2003here\u2028there\u0085now",
    "hat 🎩 東京 naïve",
    "\u201ccurly\u201d \u2018quotes\u2019, o\ufb03ce \ufb02oor \u0133s, \uff21\uff22\uff0c\uff01 \u5929\u7a7a\u3002",
    "&ldquo;quoted&rdquo; &amp;amp;amp;lt;b&amp;gt;",
    "<b> &ldquo;kept&rdquo; &amp;amp;amp;lt;",
    "&amp;#39;twice&amp;#39; &amp;amp;amp; &lt&gt",
    # Unicode's composed forms: marks in any order, Vietnamese, Hangul's letters (U+11A7 composes with nothing),
    # Devanagari's nukta and others that stay apart, characters that are another's twin.
    "cafe\u0301, A\u030angstro\u0308m, q\u0307\u0323 q\u0323\u0307 o\u0302\u0323\u0301 \u0344 x\u0301\u0315\u0300",
    "Co\u0302 ga\u0301i \u0111o\u0323\u0302i mu\u0303 \u0111o\u0309, u\u031b\u0323 o\u031b\u0300 \u1ecd\u0302",
    "\u1108\u1161\u11af\u1100\u1161\u11ab \uac1c\u11a7\u11a8 \u1112\u119e\u11ab \uac00\u11a8",
    "\u0958 \u0915\u093c \u0928\u093c \u09a1\u09bc \u0a38\u0a3c \u0f43 \ufb1d \U0001d15e \u2adc",
    "\u212b \u2126 \u212a \u1fef \uf900 \U0002f800 \u09c7\u09be \u0cc6\u0cc2 \u30cf\u309a \u3046\u3099",
    "e&#769; e&#769 &amp&#769; &amp\u037e &amp;\uff1camp\uff1b \uff06amp; &lt\u037e",
    "\uff8a\uff9d\uff76\uff78 \uff8a\uff9f\uff9d \uffe6 \uffe1\uff10 \uffbb\uffc2 \uff61",
    "&amp;amp;amp;amp;lt;\n<b>\n&amp;amp;amp;amp;lt;",
]


def clean(text: str) -> str:
    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return re.sub(r"\s+", " ", text).strip()


def main():
    generator = random.Random(0)
    sentences = [" ".join(generator.choices(WORDS, k=generator.randint(5, 20))) for _ in range(400)]
    FOLDER.mkdir(parents=True, exist_ok=True)
    model = FOLDER / "spiece.model"
    with model.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences), model_writer=file, vocab_size=110, model_type="unigram", pad_id=0,
            eos_id=1, unk_id=2, bos_id=-1, hard_vocab_limit=False, num_threads=1, character_coverage=1.0,
            normalization_rule_name="identity", minloglevel=2,
        )  # fmt: skip
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    fixture = {
        "encode": [{"text": t, "ids": processor.encode(clean(t)) + [processor.eos_id()]} for t in ENCODE],
        "clean": [{"text": t, "cleaned": clean(t)} for t in CLEAN],
    }
    path = FOLDER / "tokenizer.json"
    path.write_text(json.dumps(fixture, indent=1, ensure_ascii=True) + "\n")
    print(model.stat().st_size, "and", path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
