// See fact_reader.h.
#include "moga/train/text/fact_reader.h"

#include <ATen/ATen.h>
#include <torch/nn/init.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace moga {

FactReaderImpl::FactReaderImpl(int64_t width, int64_t heads, const std::vector<FactKind>& kinds)
    : heads_(heads), k_(register_module("k", Linear(width, width))), v_(register_module("v", Linear(width, width))) {
  const auto facts = static_cast<int64_t>(kinds.size());
  int64_t most = 0;
  for (const FactKind& kind : kinds) most = std::max(most, kind.classes);
  queries_ = register_parameter("queries", at::randn({facts, width}));
  classifier_ =
      register_parameter("classifier", at::randn({facts, width, most}) / std::sqrt(static_cast<double>(width)));
  std::vector<at::Tensor> absent;
  for (const FactKind& kind : kinds) absent.push_back(at::arange(most) >= kind.classes);
  absent_ = register_buffer("absent", at::stack(absent));
  k_->fill_xavier();
  v_->fill_xavier();
}

at::Tensor FactReaderImpl::forward(const at::Tensor& text, const at::Tensor& lengths) {
  const int64_t batch = text.size(0), facts = queries_.size(0);
  const auto by_head = [&](const at::Tensor& x) { return x.unflatten(-1, {heads_, -1}).transpose(1, 2); };
  const at::Tensor q = by_head(queries_.to(text.scalar_type()).expand({batch, facts, -1}));  // [B, H, facts, D]
  const at::Tensor known =
      (at::arange(text.size(1), lengths.options()) < lengths.unsqueeze(1)).unsqueeze(1).unsqueeze(1);
  const at::Tensor read = at::scaled_dot_product_attention(q, by_head(k_(text)), by_head(v_(text)), known);
  const at::Tensor rows = read.transpose(1, 2).flatten(2).to(at::kFloat);  // [B, facts, width]
  const at::Tensor logits = at::einsum("bfw,fwc->bfc", {rows, classifier_});
  return logits.masked_fill(absent_, -std::numeric_limits<float>::infinity());
}

}  // namespace moga
