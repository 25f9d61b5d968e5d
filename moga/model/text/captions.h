// Turns captions into the transformer's text input with tokenizer and text encoder. Each distinct caption is encoded
// once.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "moga/model/text/text_encoder.h"
#include "moga/model/text/tokenizer.h"

namespace moga {

struct FittedCaption {
  std::string text;
  std::string note;  // "734 text tokens, the model reads 512: …"; empty when nothing is cut
};

// A shot's caption with the global caption in front (joined by a space), in at most text_len text tokens with </s>.
// If they do not fit, the global caption is cut after a word; the shot's own text is cut only if it is too long by
// itself.
FittedCaption fit_caption(const Tokenizer& tokenizer, const std::string& global, const std::string& own,
                          int64_t text_len);

// S captions → [S, text_len, d_model] in `dtype` on the encoder's device. Longer captions are cut; rows after a
// caption's own text tokens are zero. Keeps gradients if they are enabled, for training the encoder jointly.
at::Tensor encode_captions(TextEncoder& encoder, const Tokenizer& tokenizer, const std::vector<std::string>& captions,
                           int64_t text_len, at::ScalarType dtype);

}  // namespace moga
