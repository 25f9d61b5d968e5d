// q, k, v, o and the norms of q and k of one attention, under Wan2.1's names: q, k, v, o, norm_q, norm_k.
//
// [rows, C] → [rows, H, D] before attention, [rows, H, D] → [rows, C] after it; queries and keys are normalised over
// all heads (qk_norm.h). Which rows attend to which is the caller's concern.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include "moga/model/layers/linear.h"
#include "moga/model/layers/qk_norm.h"

namespace moga {

struct ProjectionsConfig {
  int64_t width = 0;  // C
  int64_t heads = 1;  // H
  bool qk_norm = true;
  double eps = 1e-6;
  bool queries = true;  // false: keys and values alone, for rows that are attended to and do not attend
};

class ProjectionsImpl : public torch::nn::Module {
 public:
  explicit ProjectionsImpl(const ProjectionsConfig& config);
  // [rows, C] → [rows, H, D]; queries and keys normalised over all heads.
  at::Tensor queries(const at::Tensor& x);
  at::Tensor keys(const at::Tensor& x);
  at::Tensor values(const at::Tensor& x);
  // All of one x, with queries and keys rotated by the table (rope.h) unless it is undefined. q is undefined without
  // queries.
  struct Projected {
    at::Tensor q, k, v;
  };
  Projected projected(const at::Tensor& x, const at::Tensor& rotary);
  at::Tensor output(const at::Tensor& attended);  // [N, H, D] → [N, C]
  void initialise();

 protected:
  at::Tensor positioned(const at::Tensor& product, QkNorm& norm, const at::Tensor& rotary);
  at::Tensor heads(const at::Tensor& x) const { return x.view({x.size(0), heads_, x.size(1) / heads_}); }

 private:
  int64_t heads_;
  Linear q_{nullptr}, k_{nullptr}, v_{nullptr}, o_{nullptr};  // q and o are empty without queries
  QkNorm norm_q_{nullptr}, norm_k_{nullptr};                  // empty without qk_norm
};
TORCH_MODULE(Projections);

}  // namespace moga
