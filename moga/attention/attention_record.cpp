// See attention_record.h. Two tensors of the whole, then for each branch its output, lse and what its backend saved.
#include "moga/attention/attention_record.h"

#include <ATen/core/Tensor.h>

#include <utility>

namespace moga {

AttentionRecord detached(AttentionRecord record) {
  const auto detach = [](at::Tensor& x) { x = x.defined() ? x.detach() : x; };
  detach(record.output);
  detach(record.lse);
  for (GroupedAttention& branch : record.branches) {
    detach(branch.output);
    detach(branch.lse);
  }
  return record;
}

std::vector<at::Tensor> flatten(const AttentionRecord& record, std::vector<size_t>& saved) {
  std::vector<at::Tensor> tensors = {record.output, record.lse};
  for (const GroupedAttention& branch : record.branches) {
    tensors.insert(tensors.end(), {branch.output, branch.lse});
    tensors.insert(tensors.end(), branch.saved.begin(), branch.saved.end());
    saved.push_back(branch.saved.size());
  }
  return tensors;
}

AttentionRecord unflatten(std::vector<at::Tensor>::const_iterator first, const std::vector<size_t>& saved) {
  auto tensor = first;
  AttentionRecord record;
  record.output = *tensor++;
  record.lse = *tensor++;
  for (const size_t count : saved) {
    GroupedAttention branch = {tensor[0], tensor[1], {tensor + 2, tensor + 2 + static_cast<ptrdiff_t>(count)}};
    record.branches.push_back(std::move(branch));
    tensor += 2 + static_cast<ptrdiff_t>(count);
  }
  return record;
}

}  // namespace moga
