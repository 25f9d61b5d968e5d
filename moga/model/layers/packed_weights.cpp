// See packed_weights.h.
#include "moga/model/layers/packed_weights.h"

#include "moga/model/layers/buffer_layout.h"

namespace moga {

int64_t packed_bytes(const std::vector<at::Tensor>& parameters) {
  int64_t bytes = 0;
  for (const at::Tensor& parameter : parameters) bytes += aligned_bytes(static_cast<int64_t>(parameter.nbytes()));
  return bytes;
}

void view_in(std::vector<at::Tensor>& parameters, const at::Tensor& bytes) {
  int64_t begin = 0;
  for (at::Tensor& parameter : parameters) {
    const auto size = static_cast<int64_t>(parameter.nbytes());
    parameter.set_data(bytes.narrow(0, begin, size).view(parameter.scalar_type()).view(parameter.sizes()));
    begin += aligned_bytes(size);
  }
}

}  // namespace moga
