// Parameters stored one after the other in one buffer of bytes, so that they are allocated and copied in one piece.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace moga {

// Bytes that the parameters take, each aligned as CUDA's own allocations are.
int64_t packed_bytes(const std::vector<at::Tensor>& parameters);

// Makes the parameters views of `bytes`, uint8 [at least packed_bytes] on any device, in their dtypes and shapes.
void view_in(std::vector<at::Tensor>& parameters, const at::Tensor& bytes);

}  // namespace moga
