// Latents ↔ packed tokens: the first and the last layer of the transformer.
//
//   patchify    [C_z, F, Y', X'] of each video → rows [N, C_z · p_y · p_x], in (frame, row, column) order
//   PatchEmbedding  Conv3d with kernel = stride = patch, as one product over the rows of all videos
//   Head        norm with the timestep's modulation, product to [N, p_y · p_x · C_out]
//   unpatchify  rows → [C_out, F, Y', X'] of each video
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <vector>

#include "moga/model/layers/linear.h"
#include "moga/model/layers/norm.h"

namespace moga {

struct PatchSize {
  int64_t rows = 2;     // p_y
  int64_t columns = 2;  // p_x
  int64_t area() const { return rows * columns; }
};

at::Tensor patchify(const std::vector<at::Tensor>& latents, PatchSize patch, at::ScalarType dtype);
std::vector<at::Tensor> unpatchify(const at::Tensor& rows, const Layout& layout, PatchSize patch);

// A Linear whose weight [C, C_z, 1, p_y, p_x] is that of the convolution.
class PatchEmbeddingImpl : public LinearImpl {
 public:
  PatchEmbeddingImpl(int64_t channels, int64_t width, PatchSize patch);
  void initialise() { fill_xavier(); }
};
TORCH_MODULE(PatchEmbedding);

class HeadImpl : public torch::nn::Module {
 public:
  HeadImpl(int64_t width, int64_t out, double eps);
  // x [N, C], embedding [V, C] of the timestep → [N, out]
  at::Tensor forward(const at::Tensor& x, const at::Tensor& embedding, const Segments& segments);
  void initialise();

  Linear head{nullptr};
  at::Tensor modulation;  // [1, 2, C]: shift, scale

 private:
  double eps_;
};
TORCH_MODULE(Head);

}  // namespace moga
