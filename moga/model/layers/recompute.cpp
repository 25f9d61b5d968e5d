// See recompute.h. A block is one autograd function of its inputs and parameters. Its backward pass builds the block's
// own graph from the inputs and differentiates that.
#include "moga/model/layers/recompute.h"

#include <torch/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/graph_task.h>

#include <algorithm>

#include "moga/attention/attention_memory.h"
#include "moga/core/check.h"
#include "moga/core/graph_root.h"
#include "moga/model/layers/input_offload.h"

namespace moga {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using Tensors = std::vector<at::Tensor>;

// What the backward pass of one block needs, besides its inputs.
struct BlockCall : torch::CustomClassHolder {
  int64_t block = 0;
  BlockFunction function;
  Tensors parameters;
  std::vector<bool> wants_gradient;  // of the inputs
  std::vector<bool> defined;         // of the outputs
  std::shared_ptr<BlockWeights> weights;
  std::shared_ptr<InputOffload> offload;    // null unless the config asks for it
  std::shared_ptr<AttentionMemory> memory;  // null unless selective
};

// Leaves of the block's own graph.
Tensors leaves_of(const Tensors& inputs, const BlockCall& call) {
  Tensors leaves;
  for (size_t i = 0; i < inputs.size(); ++i)
    leaves.push_back(inputs[i].detach().set_requires_grad(call.wants_gradient[i]));
  return leaves;
}

// Whether the backward pass that runs now may be followed by another of the same graph.
bool keeps_graph() { return torch::autograd::get_current_graph_task_keep_graph(); }

class RecomputedBlock : public torch::autograd::Function<RecomputedBlock> {
 public:
  // inputs, then parameters → the outputs that are defined
  static variable_list forward(AutogradContext* context, at::TensorList tensors,
                               const c10::intrusive_ptr<BlockCall>& call) {
    const Tensors inputs(tensors.begin(), tensors.end() - static_cast<ptrdiff_t>(call->parameters.size()));
    save_inputs(context, inputs, *call);
    context->saved_data["call"] = c10::IValue::make_capsule(call);
    context->set_materialize_grads(false);
    // With gradients, though the graph is dropped: some layers compute other bits without (layers/linear.h).
    const at::AutoGradMode as_in_training(true);
    variable_list results;
    for (const at::Tensor& output : call->function(leaves_of(inputs, *call), {.memory = call->memory.get()})) {
      call->defined.push_back(output.defined());
      if (output.defined()) results.push_back(output.detach());
    }
    if (call->memory) call->memory->replay();
    return results;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    check(!at::GradMode::is_enabled(), "recompute: gradients of gradients are not available");
    const auto call = c10::static_intrusive_pointer_cast<BlockCall>(context->saved_data["call"].toCapsule());
    call->weights->enter(call->block, Pass::kBackward);
    const Tensors leaves = leaves_of(saved_inputs(context, *call), *call);
    const auto [roots, pulls] = recompute(*call, leaves, gradients);

    Tensors all = leaves, targets;
    all.insert(all.end(), call->parameters.begin(), call->parameters.end());
    for (size_t i = 0; i < all.size(); ++i)
      if (context->needs_input_grad(i)) targets.push_back(all[i]);
    Tensors found(targets.size());
    if (!roots.empty()) found = moga::gradients(roots, pulls, targets, /*keep_graph=*/false);
    variable_list result(all.size() + 1);  // none of the call
    for (size_t i = 0, next = 0; i < all.size(); ++i)
      if (context->needs_input_grad(i)) result[i] = found[next++];

    const auto of_parameters = result.begin() + static_cast<ptrdiff_t>(leaves.size());
    const Tensors left = call->weights->gradients(call->block, Tensors(of_parameters, result.end() - 1));
    std::ranges::copy(left, of_parameters);
    call->weights->leave(call->block, Pass::kBackward);
    return result;
  }

 private:
  struct Roots {
    std::vector<GraphRoot> outputs;
    Tensors gradients;
  };

  static void save_inputs(AutogradContext* context, const Tensors& inputs, const BlockCall& call) {
    variable_list saved = inputs;
    if (call.offload) {
      call.offload->store(call.block, inputs[0]);
      saved[0].reset();
    }
    context->save_for_backward(saved);
  }

  static Tensors saved_inputs(AutogradContext* context, const BlockCall& call) {
    Tensors inputs = context->get_saved_variables();
    if (call.offload) inputs[0] = call.offload->fetch(call.block, keeps_graph());
    return inputs;
  }

  // The block's outputs that a gradient reaches, with their graph, and the gradients.
  static Roots recompute(const BlockCall& call, const Tensors& leaves, const variable_list& gradients) {
    AttentionMemory memory;  // calls take their records out of it
    if (call.memory) memory = keeps_graph() ? *call.memory : std::move(*call.memory);
    const at::AutoGradMode with_gradients(true);
    const Tensors outputs = call.function(leaves, {.memory = call.memory ? &memory : nullptr, .again = true});
    Roots roots;
    for (size_t i = 0, next = 0; i < outputs.size(); ++i) {
      if (!call.defined[i]) continue;
      const at::Tensor& gradient = gradients[next++];
      if (!gradient.defined() || !outputs[i].requires_grad()) continue;
      roots.outputs.push_back(graph_root(outputs[i]));
      roots.gradients.push_back(gradient);
    }
    return roots;
  }
};

bool any_requires_grad(const Tensors& tensors) {
  return std::ranges::any_of(tensors, [](const at::Tensor& x) { return x.requires_grad(); });
}

// The block's outputs, with one node of autograd for all of it.
Tensors recomputed_block(const Tensors& inputs, const c10::intrusive_ptr<BlockCall>& call) {
  for (const at::Tensor& input : inputs) call->wants_gradient.push_back(input.requires_grad());
  Tensors tensors = inputs, outputs;
  tensors.insert(tensors.end(), call->parameters.begin(), call->parameters.end());
  const Tensors results = RecomputedBlock::apply(at::TensorList(tensors), call);
  for (size_t i = 0, next = 0; i < call->defined.size(); ++i)
    outputs.push_back(call->defined[i] ? results[next++] : at::Tensor());
  return outputs;
}

}  // namespace

void RecomputeConfig::validate() const {
  check(!offload_inputs || mode != Recompute::kNone,
        "recompute: offload_inputs needs mode selective or full; with none all activations stay on the device");
  check(selective_blocks >= 0, "recompute: selective_blocks is ", selective_blocks, ", expected at least 0");
  check(selective_blocks == 0 || mode == Recompute::kSelective, "recompute: selective_blocks is ", selective_blocks,
        " with mode ", name_of(mode), ", which keeps no results of attention; expected mode selective");
}

std::string describe(const RecomputeConfig& config) {
  std::string text = name_of(config.mode);
  if (config.selective_blocks > 0) text += " in the last " + std::to_string(config.selective_blocks) + " blocks";
  return text + (config.offload_inputs ? ", block inputs in host memory" : "");
}

BlockRunner::BlockRunner(const RecomputeConfig& config, int64_t blocks, std::shared_ptr<BlockWeights> weights)
    : config_(config), blocks_(blocks), weights_(std::move(weights)) {
  config.validate();
  check(config.selective_blocks <= blocks, "recompute: selective_blocks is ", config.selective_blocks,
        ", but the model has ", blocks, " blocks");
  if (config.offload_inputs) offload_ = std::make_shared<InputOffload>(blocks);
}

bool BlockRunner::keeps_attention(int64_t block) const {
  if (config_.mode != Recompute::kSelective) return false;
  return config_.selective_blocks == 0 || block >= blocks_ - config_.selective_blocks;
}

Tensors BlockRunner::run(int64_t block, const torch::nn::Module& module, const BlockFunction& function,
                         const Tensors& inputs) {
  const Tensors parameters = at::GradMode::is_enabled() ? module.parameters() : Tensors();
  const bool trained = at::GradMode::is_enabled() && (any_requires_grad(inputs) || any_requires_grad(parameters));
  const bool recomputed = trained && (config_.mode == Recompute::kSelective || config_.mode == Recompute::kFull);
  check(!trained || weights_->trainable(), "streamed weights serve inference only, and gradients are enabled");
  check(!trained || recomputed || weights_->resident(),
        "recompute: weights that are not resident need mode selective or full in training");
  weights_->enter(block, Pass::kForward);
  Tensors outputs;
  if (recomputed) {
    const auto call = c10::make_intrusive<BlockCall>();
    call->block = block;
    call->function = function;
    call->parameters = parameters;
    call->weights = weights_;
    call->offload = offload_;
    if (keeps_attention(block)) call->memory = std::make_shared<AttentionMemory>();
    outputs = recomputed_block(inputs, call);
  } else {
    outputs = function(inputs, {});
  }
  weights_->leave(block, Pass::kForward);
  return outputs;
}

}  // namespace moga
