// AdamW (Loshchilov & Hutter, 2019) over a flat list of float32 parameters, with the gradients' global norm clipped:
//
//   g ← g · min(1, c / ‖g‖);  m ← β₁m + (1-β₁)g;  v ← β₂v + (1-β₂)g²;  w ← w - lr · (m̂ / (√v̂ + ε) + λw)
//
// A step is a handful of fused kernels and never waits for the device: the norm stays there, and clips there. A step
// whose norm is not finite leaves weights and state as they were, on the device's own decision. Weight decay λ spares
// parameters with fewer than two dimensions (biases, norms, modulation vectors).
#pragma once

#include "moga/train/loop/parameters.h"

namespace moga {

struct OptimizerConfig {
  double beta1 = 0.9;
  double beta2 = 0.99;
  double epsilon = 1e-8;
  double weight_decay = 0.01;
  double clip = 1.0;

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("beta1", beta1, "decay of the first moment");
    field("beta2", beta2, "decay of the second moment");
    field("epsilon", epsilon, "added to the root of the second moment");
    field("weight_decay", weight_decay, "decoupled weight decay of matrices; vectors have none");
    field("clip", clip, "largest global norm of the gradients; 0: no clipping");
  }
};

class AdamW {
 public:
  AdamW(NamedTensors parameters, const OptimizerConfig& config);

  struct Step {
    at::Tensor gradient_norm;  // [] float32 on the device, before clipping
    at::Tensor skipped;        // [] float32 on the device: 1 when the norm was not finite, else 0
  };
  // One step with the parameters' gradients; a parameter without a gradient stays as it is.
  Step step(double learning_rate);
  void zero_grad();

  // Moments and step count by name, for a checkpoint; nothing is copied.
  NamedTensors state() const;

 private:
  struct Part {  // parameters that share a weight decay
    double weight_decay = 0;
    std::vector<at::Tensor> weights, moments1, moments2;
  };
  void step_part(const Part& part, double learning_rate, const Step& step, const at::Tensor& scale);

  NamedTensors parameters_;
  OptimizerConfig config_;
  std::vector<at::Tensor> moments1_, moments2_;  // in the order of parameters_
  Part parts_[2];                                // decayed, not decayed
  at::Tensor steps_;                             // [] float32, on the device
};

}  // namespace moga
