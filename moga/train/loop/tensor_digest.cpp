// See tensor_digest.h.
#include "moga/train/loop/tensor_digest.h"

#include <ATen/ATen.h>

#include "moga/core/check.h"

namespace moga {
namespace {

at::ScalarType integers_of(const at::Tensor& tensor) {
  switch (tensor.element_size()) {
    case 1:
      return at::kByte;
    case 2:
      return at::kShort;
    case 4:
      return at::kInt;
    case 8:
      return at::kLong;
    default:
      fail("no digest of elements of ", tensor.element_size(), " bytes");
  }
}

}  // namespace

std::string digest_lines(const NamedTensors& named) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> sums;
  for (const auto& [name, tensor] : named)
    sums.push_back(tensor.detach().contiguous().view(integers_of(tensor)).sum(at::kLong).cpu());
  std::string lines;
  for (size_t i = 0; i < named.size(); ++i)
    lines += named[i].first + " " + std::to_string(sums[i].item<int64_t>()) + "\n";
  return lines;
}

}  // namespace moga
