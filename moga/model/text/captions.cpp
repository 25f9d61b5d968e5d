// See captions.h.
#include "moga/model/text/captions.h"

#include <ATen/ATen.h>

#include <map>

#include "moga/core/check.h"

namespace moga {

at::Tensor encode_captions(TextEncoder& encoder, const Tokenizer& tokenizer, const std::vector<std::string>& captions,
                           int64_t text_len, at::ScalarType dtype) {
  check(!captions.empty(), "no captions to encode");
  check(tokenizer.vocab_size() <= encoder->config().vocab_size, "the tokenizer has ", tokenizer.vocab_size(),
        " pieces, the text encoder knows ", encoder->config().vocab_size);
  std::map<std::string, int64_t> row_of;
  std::vector<std::string> distinct;
  std::vector<int64_t> rows;  // of each caption, among the distinct ones
  for (const std::string& caption : captions) {
    const auto [found, fresh] = row_of.try_emplace(caption, static_cast<int64_t>(distinct.size()));
    if (fresh) distinct.push_back(caption);
    rows.push_back(found->second);
  }

  const TokenBatch batch = tokenizer.encode_batch(distinct, text_len);
  const auto longest = batch.lengths.max().item<int64_t>();  // still on the host; padding beyond it need not be encoded
  const at::Device device = encoder->parameters().front().device();
  const at::Tensor text = encoder->forward(batch.ids.narrow(1, 0, longest).to(device), batch.lengths.to(device), dtype);
  const at::Tensor padded = at::constant_pad_nd(text, {0, 0, 0, text_len - longest});  // [distinct, text_len, d_model]
  return padded.index_select(0, at::tensor(rows, at::kLong).to(device));
}

}  // namespace moga
