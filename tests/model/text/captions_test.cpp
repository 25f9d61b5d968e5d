// Captions in the form in which the transformer receives them.
#include "moga/model/text/captions.h"

#include <gtest/gtest.h>

#include "tests/support/compare.h"
#include "tests/support/error.h"

namespace moga {
namespace {

TextEncoderConfig tiny(const Tokenizer& tokenizer) {
  return {.vocab_size = tokenizer.vocab_size(), .d_model = 16, .d_kv = 8, .d_ff = 32, .num_layers = 1, .num_heads = 2};
}

TEST(Captions, AreEncodedEachForItselfAndPaddedWithZeros) {
  const Tokenizer tokenizer(MOGA_FIXTURES);
  TextEncoder encoder(tiny(tokenizer));
  const at::Tensor text = encode_captions(encoder, tokenizer, {"a red hat", "night", "a red hat"}, 12, at::kFloat);
  EXPECT_EQ(text.sizes(), (std::vector<int64_t>{3, 12, 16}));
  EXPECT_TRUE(at::equal(text[0], text[2]));
  const at::Tensor alone = encode_captions(encoder, tokenizer, {"night"}, 12, at::kFloat);
  EXPECT_TRUE(test::close(text[1], alone[0], 1e-6));
  EXPECT_EQ(text[1].narrow(0, 2, 10).abs().max().item<float>(), 0.0f);  // "night" and </s>
}

TEST(Captions, TheGlobalOneGivesWayToTheShotsOwn) {
  const Tokenizer tokenizer(MOGA_FIXTURES);
  const auto tokens = [&](const std::string& text) { return static_cast<int64_t>(tokenizer.encode(text).size()); };
  const std::string global = "a red hat a red hat night", own = "a red hat";
  EXPECT_EQ(fit_caption(tokenizer, global, own, 100).text, global + " " + own);
  EXPECT_EQ(fit_caption(tokenizer, " ", own, 100).text, own);
  const int64_t room = tokens("a red hat a " + own);
  const FittedCaption cut = fit_caption(tokenizer, global, own, room);
  EXPECT_EQ(cut.text, "a red hat a " + own);
  EXPECT_EQ(cut.note, std::to_string(tokens(global + " " + own)) + " text tokens, the model reads " +
                          std::to_string(room) + ": the global caption is cut after \"... red hat a\"");
  EXPECT_EQ(fit_caption(tokenizer, global, own, tokens(own)).text, own);
  const FittedCaption own_cut = fit_caption(tokenizer, "night", global, tokens("a red hat"));
  EXPECT_EQ(own_cut.text, global);
  EXPECT_NE(own_cut.note.find("the text is cut after \"a red hat\", and the global caption is left out"),
            std::string::npos)
      << own_cut.note;
}

TEST(Captions, CarryGradientsToTheEncoder) {
  const Tokenizer tokenizer(MOGA_FIXTURES);
  TextEncoder encoder(tiny(tokenizer));
  encode_captions(encoder, tokenizer, {"a red hat", "night"}, 12, at::kFloat).square().sum().backward();
  for (const auto& item : encoder->named_parameters())
    EXPECT_GT(item.value().grad().abs().max().item<float>(), 0.0f) << item.key();
}

TEST(Captions, RefuseAnEncoderThatKnowsFewerPieces) {
  const Tokenizer tokenizer(MOGA_FIXTURES);
  TextEncoderConfig config = tiny(tokenizer);
  config.vocab_size -= 1;
  TextEncoder encoder(config);
  const std::string expected = "the tokenizer has " + std::to_string(config.vocab_size + 1) +
                               " pieces, the text encoder knows " + std::to_string(config.vocab_size);
  EXPECT_EQ(test::error_of([&] { encode_captions(encoder, tokenizer, {"night"}, 12, at::kFloat); }), expected);
}

}  // namespace
}  // namespace moga
