// AdamW (Loshchilov & Hutter, 2019) over a flat list of parameters, with the gradients' global norm clipped:
//
//   g ← g · min(1, c / ‖g‖);  m ← β₁m + (1-β₁)g;  v ← β₂v + (1-β₂)g²;  w ← w - lr · (m̂ / (√v̂ + ε) + λw)
//
// Masters are float32. A float32 parameter is its own master; a bfloat16 parameter has one here and is rounded from it
// after each step. Moments are float32, or bfloat16 with stochastic rounding. What has to be converted is updated in
// pieces, so a step needs 0.7 GiB of temporary memory whatever the size of the model.
//
// A step never waits for the device: the norm is computed and applied there. A step whose norm is not finite leaves
// weights and state as they were. Weight decay λ applies to parameters with two or more dimensions only. Where the
// state is sharded, the optimiser of a rank updates its pieces of the parameters; the norm is that of all ranks.
#pragma once

#include <array>
#include <functional>

#include "moga/core/choice.h"
#include "moga/parallel/process_group.h"
#include "moga/train/loop/parameters.h"

namespace moga {

enum class Storage { kFloat32, kBfloat16 };
template <>
inline constexpr auto kChoices<Storage> = std::array{
    Choice{Storage::kFloat32, "float32", "four bytes each"},
    Choice{Storage::kBfloat16, "bfloat16", "two bytes each"},
};

struct OptimizerConfig {
  double beta1 = 0.9;
  double beta2 = 0.99;
  double epsilon = 1e-8;
  double weight_decay = 0.01;
  double clip = 1.0;
  Storage moments = Storage::kFloat32;

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("beta1", beta1, "decay of the first moment");
    field("beta2", beta2, "decay of the second moment");
    field("epsilon", epsilon, "added to the root of the second moment");
    field("weight_decay", weight_decay, "decoupled weight decay of matrices; vectors have none");
    field("clip", clip, "largest global norm of the gradients; 0: no clipping");
    field("moments", moments, "storage of both moments; bfloat16 is rounded stochastically");
  }
};

// What an optimiser updates: parameters, or a rank's pieces of them (sharded_state.h).
struct OptimizedTensors {
  NamedTensors weights;
  NamedTensors masters;       // in the same order; a float32 weight is its own
  std::vector<bool> decayed;  // in the same order
  at::Device device = at::Device(at::kCPU);
  ProcessGroup ranks = {};  // that hold the other pieces
};

class AdamW {
 public:
  // Float32 parameters.
  AdamW(const NamedTensors& parameters, const OptimizerConfig& config) : AdamW(parameters, parameters, config, 0) {}
  // `masters`: of the parameters, in their order; a float32 parameter itself (parameters.h, store_in_bfloat16).
  // `seed`: of the stochastic rounding.
  AdamW(const NamedTensors& parameters, const NamedTensors& masters, const OptimizerConfig& config, uint64_t seed);
  AdamW(const OptimizedTensors& tensors, const OptimizerConfig& config, uint64_t seed);

  struct Step {
    at::Tensor gradient_norm;  // [] float32 on the device, before clipping
    at::Tensor skipped;        // [] float32 on the device: 1 when the norm was not finite, else 0
    at::Tensor norms;          // [sets] float32 on the device, before clipping; undefined without report_norms()
  };
  // Steps also report the norm of the gradients of each of `sets` sets of tensors. `sets_of`: those that a tensor, by
  // its name, is in. Ranks that hold pieces call it with the same number.
  void report_norms(int64_t sets, const std::function<std::vector<int64_t>(const std::string& name)>& sets_of);
  // One step with the parameters' gradients; a parameter without a gradient stays as it is. `index`: train steps before
  // this one, which names the random numbers of the rounding.
  Step step(double learning_rate, int64_t index = 0);
  void zero_grad();
  // The next step uses these gradients, one for each tensor, undefined where there is none.
  void take(const std::vector<at::Tensor>& gradients);

  // Adds the gradients of bfloat16 parameters to float32 sums, which the next step uses. Called after each piece of a
  // batch; float32 parameters accumulate in their own gradients.
  void accumulate();
  // Replaces the gradients by their sums over the ranks, in float32. Ranks hold parts of one loss's gradient; the state
  // of the optimiser is replicated, so all of them take the same step afterwards. The order of additions is that of
  // the group's all_reduce over buckets of fixed content: bit-identical from run to run and on all ranks.
  void sum_over(const ProcessGroup& ranks);
  // Rounds the parameters from their masters, after these were restored.
  void write_weights();

  // Moments and step count by name, for a checkpoint; nothing is copied.
  NamedTensors state() const;

 private:
  struct Slot {
    std::string name;
    at::Tensor weight, master, moment1, moment2;
    bool decayed = false;
    at::Tensor sum;  // float32, of the gradients of several pieces or ranks; undefined otherwise

    bool rounded() const { return weight.scalar_type() != at::kFloat; }  // the parameter is not its own master
    at::Tensor gradient() const { return sum.defined() ? sum : weight.grad(); }
    bool in_place(const at::Tensor& gradient) const;
  };
  Pending start_sum(const ProcessGroup& ranks, size_t begin, size_t end);
  struct Lists {  // tensors, or flat pieces of tensors, that are updated by one kernel
    std::vector<at::Tensor> weights, masters, gradients, moments1, moments2;
    int64_t elements = 0;
  };
  struct Call {  // what one step passes to every kernel
    double learning_rate = 0;
    Step step;
    at::Tensor scale;
    int64_t index = 0, pieces = 0;
  };
  void measure(Step& step);
  at::Tensor norms_of_sets(const at::Tensor& norms, const std::vector<int64_t>& slots);
  void step_slots(bool decayed, Call& call);
  void step_pieces(Lists& pieces, bool decayed, Call& call);
  void update(Lists& lists, bool decayed, const Call& call);

  std::vector<Slot> slots_;
  OptimizerConfig config_;
  uint64_t seed_;
  ProcessGroup ranks_;  // that hold the other pieces
  at::Tensor steps_;    // [] float32, on the device
  at::Tensor sets_;     // [sets, slots] float32 on the device: 1 where a tensor is in a set; or undefined
  // The columns of the slots that had gradients in the last step, which are mostly those of the next.
  std::vector<int64_t> columns_;
  at::Tensor sets_of_columns_;
};

}  // namespace moga
