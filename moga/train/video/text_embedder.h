// Embeddings of captions as they are stored next to latents: bfloat16 on the host, without padding.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "moga/model/text/text_encoder.h"
#include "moga/model/text/tokenizer.h"

namespace moga {

struct TextEmbedderConfig {
  std::filesystem::path text_encoder, tokenizer;
  int64_t text_len = 512;
  at::Device device = at::Device(at::kCPU);
  at::ScalarType dtype = at::kFloat;
};

class TextEmbedder {
 public:
  explicit TextEmbedder(const TextEmbedderConfig& config);
  // One [text tokens, d] per caption, cut to text_len.
  std::vector<at::Tensor> embed(const std::vector<std::string>& captions);

 private:
  TextEncoder encoder_;
  Tokenizer tokenizer_;
  int64_t text_len_;
  at::ScalarType dtype_;
};

}  // namespace moga
