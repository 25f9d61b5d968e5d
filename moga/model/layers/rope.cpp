// See rope.h.
#include "moga/model/layers/rope.h"

#include <torch/csrc/autograd/custom_function.h>

#include "moga/core/check.h"
#include "moga/model/layers/linear.h"

namespace moga {
namespace {

constexpr double kTheta = 10000.0;

// cos + i sin of positions 0 … count - 1 at size/2 frequencies: [count, size/2].
at::Tensor axis_table(int64_t count, int64_t size, at::ScalarType dtype) {
  const auto options = at::TensorOptions().dtype(at::kDouble);
  const at::Tensor frequency = at::pow(kTheta, at::arange(0, size, 2, options) / -static_cast<double>(size));
  const at::Tensor angle = at::outer(at::arange(count, options), frequency);
  return at::polar(at::ones_like(angle), angle).to(dtype == at::kDouble ? at::kComplexDouble : at::kComplexFloat);
}

at::Tensor video_table(const VideoShape& video, int64_t head_dim, at::Device device, at::ScalarType dtype) {
  const int64_t spatial = 2 * (head_dim / 6), temporal = head_dim - 2 * spatial;
  const auto broadcast = [&](const at::Tensor& table, at::IntArrayRef shape) {
    return table.to(device).view(shape).expand({video.frames, video.rows, video.columns, -1});
  };
  return at::cat({broadcast(axis_table(video.frames, temporal, dtype), {video.frames, 1, 1, temporal / 2}),
                  broadcast(axis_table(video.rows, spatial, dtype), {1, video.rows, 1, spatial / 2}),
                  broadcast(axis_table(video.columns, spatial, dtype), {1, 1, video.columns, spatial / 2})},
                 -1)
      .view({video.tokens(), head_dim / 2});
}

at::Tensor rotated(const at::Tensor& x, const at::Tensor& table) {
  const at::ScalarType dtype = wide(x.scalar_type());
  const at::Tensor pairs = x.contiguous().to(dtype).view({x.size(0), x.size(1), x.size(2) / 2, 2});
  return at::view_as_real(at::view_as_complex(pairs) * table.unsqueeze(1)).view(x.sizes()).to(x.scalar_type());
}

// A rotation is unitary: the gradient is rotated back, and only the table is saved.
struct Rotate : torch::autograd::Function<Rotate> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& table) {
    context->save_for_backward({table});
    return rotated(x, table);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    return {rotated(gradients[0], context->get_saved_variables()[0].conj().resolve_conj()), {}};
  }
};

}  // namespace

at::Tensor rotary_table(const Layout& layout, int64_t head_dim, at::Device device, at::ScalarType dtype) {
  std::vector<at::Tensor> tables;
  const VideoShape* previous = nullptr;
  for (const VideoShape& video : layout.videos) {
    const bool same = previous && video.frames == previous->frames && video.rows == previous->rows &&
                      video.columns == previous->columns;
    tables.push_back(same ? tables.back() : video_table(video, head_dim, device, dtype));
    previous = &video;
  }
  return tables.size() == 1 ? tables[0] : at::cat(tables);
}

at::Tensor rotate(const at::Tensor& x, const at::Tensor& table) {
  check(x.dim() == 3 && table.dim() == 2 && x.size(0) == table.size(0) && x.size(2) == 2 * table.size(1), "rotate: x ",
        x.sizes(), " does not fit a table of ", table.sizes());
  return Rotate::apply(x, table);
}

}  // namespace moga
