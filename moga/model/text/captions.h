// Captions → the text input of the transformer: tokenizer and text encoder joined, each distinct caption encoded once.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "moga/model/text/text_encoder.h"
#include "moga/model/text/tokenizer.h"

namespace moga {

// S captions → [S, text_len, d_model] in `dtype` on the encoder's device; longer captions are cut, rows beyond a
// caption's own text tokens are zero. Keeps gradients when they are enabled, for training the encoder jointly.
at::Tensor encode_captions(TextEncoder& encoder, const Tokenizer& tokenizer, const std::vector<std::string>& captions,
                           int64_t text_len, at::ScalarType dtype);

}  // namespace moga
