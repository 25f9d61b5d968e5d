// Captions → stored embeddings. See text_embedder.h.
#include "moga/train/video/text_embedder.h"

#include <ATen/ATen.h>

#include "moga/model/text/captions.h"

namespace moga {

TextEmbedder::TextEmbedder(const TextEmbedderConfig& config)
    : encoder_(load_text_encoder(config.text_encoder, config.device, config.dtype)),
      tokenizer_(config.tokenizer),
      text_len_(config.text_len),
      dtype_(config.dtype) {}

std::vector<at::Tensor> TextEmbedder::embed(const std::vector<std::string>& captions) {
  const at::Tensor lengths = tokenizer_.encode_batch(captions, text_len_).lengths;
  const at::Tensor text =
      encode_captions(encoder_, tokenizer_, captions, text_len_, dtype_).to(at::kBFloat16).cpu();  // [S, L, d]
  std::vector<at::Tensor> rows;
  for (int64_t i = 0; i < text.size(0); ++i)
    rows.push_back(text[i].narrow(0, 0, lengths[i].item<int64_t>()).contiguous());
  return rows;
}

}  // namespace moga
