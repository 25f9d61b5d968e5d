// AdamW by ATen's fused kernels, in place where everything is float32, else over converted pieces. See optimizer.h.
#include "moga/train/loop/optimizer.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "moga/core/check.h"
#include "moga/core/random.h"
#include "moga/train/loop/stochastic_rounding.h"

namespace moga {
namespace {

constexpr int64_t kPieceElements = int64_t{1} << 25;  // converted at once: 128 MiB per float32 buffer
constexpr int64_t kAlignment = 64;                    // elements, so that every piece of a buffer is aligned
constexpr int64_t kMostPieces = int64_t{1} << 20;     // of a step: each has its own random stream

// The storage of a dense tensor as one dimension.
at::Tensor flat(const at::Tensor& tensor) { return tensor.as_strided({tensor.numel()}, {1}, tensor.storage_offset()); }

int64_t aligned(int64_t elements) { return (elements + kAlignment - 1) / kAlignment * kAlignment; }

// The norm of each gradient, [gradients] float32.
at::Tensor norms_of(const std::vector<at::Tensor>& gradients) {
  const bool wide = std::all_of(gradients.begin(), gradients.end(),
                                [](const at::Tensor& gradient) { return gradient.scalar_type() == at::kFloat; });
  const auto dtype = wide ? std::nullopt : std::optional(at::kFloat);
  return at::stack(at::_foreach_norm(gradients, 2, dtype));
}

OptimizedTensors whole(const NamedTensors& parameters, const NamedTensors& masters) {
  check(!parameters.empty(), "nothing to train: no parameter requires a gradient");
  OptimizedTensors tensors = {parameters, masters, {}, masters.front().second.device()};
  for (const auto& item : parameters) tensors.decayed.push_back(item.second.dim() >= 2);
  return tensors;
}

// Pieces of one float32 buffer, one for each of `like`.
std::vector<at::Tensor> pieces_of(const at::Tensor& buffer, const std::vector<at::Tensor>& like) {
  std::vector<at::Tensor> pieces;
  int64_t begin = 0;
  for (const at::Tensor& piece : like) {
    pieces.push_back(buffer.narrow(0, begin, piece.numel()));
    begin += aligned(piece.numel());
  }
  return pieces;
}

}  // namespace

void OptimizerConfig::validate() const {
  check(beta1 >= 0 && beta1 < 1, "beta1 is ", beta1, ", expected 0 or more and below 1");
  check(beta2 >= 0 && beta2 < 1, "beta2 is ", beta2, ", expected 0 or more and below 1");
  check(epsilon > 0, "epsilon is ", epsilon, ", expected more than 0");
  check(weight_decay >= 0, "weight_decay is ", weight_decay, ", expected at least 0");
  check(clip >= 0, "clip is ", clip, ", expected at least 0");
}

AdamW::AdamW(const NamedTensors& parameters, const NamedTensors& masters, const OptimizerConfig& config, uint64_t seed)
    : AdamW(whole(parameters, masters), config, seed) {}

AdamW::AdamW(const OptimizedTensors& tensors, const OptimizerConfig& config, uint64_t seed)
    : config_(config), seed_(seed), ranks_(tensors.ranks) {
  // Each rank rounds its pieces with its own random numbers.
  if (ranks_.rank() > 0) seed_ = random_key(seed, "shard", static_cast<uint64_t>(ranks_.rank()));
  const at::ScalarType dtype = config.moments == Storage::kFloat32 ? at::kFloat : at::kBFloat16;
  for (size_t i = 0; i < tensors.weights.size(); ++i) {
    const auto& [name, weight] = tensors.weights[i];
    const at::Tensor master = tensors.masters.at(i).second.detach();
    check(master.scalar_type() == at::kFloat, name, " is ", master.scalar_type(), ": masters must be float32");
    check(weight.is_non_overlapping_and_dense(), name, " has strides ", weight.strides(), ", expected dense storage");
    slots_.push_back({.name = name,
                      .weight = weight,
                      .master = master,
                      .moment1 = at::zeros_like(master, dtype),
                      .moment2 = at::zeros_like(master, dtype),
                      .decayed = tensors.decayed.at(i),
                      .sum = {}});
  }
  steps_ = at::zeros({}, at::TensorOptions(at::kFloat).device(tensors.device));
}

// The fused kernels walk memory: strides must agree, in dimensions of size 1 too.
bool AdamW::Slot::in_place(const at::Tensor& gradient) const {
  return !rounded() && moment1.scalar_type() == at::kFloat && gradient.scalar_type() == at::kFloat &&
         gradient.strides() == weight.strides();
}

void AdamW::report_norms(int64_t sets, const std::function<std::vector<int64_t>(const std::string& name)>& sets_of) {
  const at::Tensor table = at::zeros({sets, static_cast<int64_t>(slots_.size())}, at::kFloat);
  for (size_t slot = 0; slot < slots_.size(); ++slot)
    for (const int64_t set : sets_of(slots_[slot].name)) table[set][static_cast<int64_t>(slot)] = 1;
  sets_ = table.to(steps_.device());
}

// [sets] float32 of this rank's gradients: roots of sums of squares, in an order of additions that is always the same.
at::Tensor AdamW::norms_of_sets(const at::Tensor& norms, const std::vector<int64_t>& slots) {
  if (slots != columns_ || !sets_of_columns_.defined()) {
    columns_ = slots;
    sets_of_columns_ = sets_.index_select(1, at::tensor(slots, at::kLong).to(sets_.device()));
  }
  return at::mv(sets_of_columns_, norms.square()).sqrt();
}

// The norms of the gradients of all ranks.
void AdamW::measure(Step& step) {
  std::vector<at::Tensor> gradients;
  std::vector<int64_t> slots;
  for (size_t i = 0; i < slots_.size(); ++i) {
    const at::Tensor gradient = slots_[i].gradient();
    if (!gradient.defined()) continue;
    gradients.push_back(gradient);
    slots.push_back(static_cast<int64_t>(i));
  }
  check(!gradients.empty() || ranks_.size() > 1, "AdamW step without gradients");
  const at::Tensor norms = gradients.empty() ? at::zeros({0}, steps_.options()) : norms_of(gradients);
  step.gradient_norm = at::linalg_vector_norm(norms);
  if (sets_.defined()) step.norms = norms_of_sets(norms, slots);
  if (ranks_.size() == 1) return;
  at::Tensor squares = step.gradient_norm.square().reshape({1});
  if (sets_.defined()) squares = at::cat({squares, step.norms.square()});
  ranks_.all_reduce(squares);
  const at::Tensor all = squares.sqrt();
  step.gradient_norm = all[0];
  if (sets_.defined()) step.norms = all.narrow(0, 1, sets_.size(0));
}

AdamW::Step AdamW::step(double learning_rate, int64_t index) {
  at::NoGradGuard no_grad;
  Call call = {.learning_rate = learning_rate, .step = {}, .scale = {}, .index = index};
  measure(call.step);
  call.step.skipped = call.step.gradient_norm.isfinite().logical_not().to(at::kFloat);
  // The kernels divide gradients by this scale, which saves a pass over them.
  if (config_.clip > 0) call.scale = (call.step.gradient_norm / config_.clip).clamp_min(1.0);
  steps_.add_(1).sub_(call.step.skipped);
  for (const bool decayed : {true, false}) step_slots(decayed, call);
  return call.step;
}

void AdamW::step_slots(bool decayed, Call& call) {
  Lists in_place, pieces;
  for (const Slot& slot : slots_) {
    at::Tensor gradient = slot.gradient();
    if (slot.decayed != decayed || !gradient.defined()) continue;
    if (slot.in_place(gradient)) {
      in_place.masters.push_back(slot.master);
      in_place.gradients.push_back(gradient);
      in_place.moments1.push_back(slot.moment1);
      in_place.moments2.push_back(slot.moment2);
      continue;
    }
    if (gradient.strides() != slot.weight.strides())
      gradient = at::empty_like(slot.weight.detach(), gradient.options()).copy_(gradient);
    for (int64_t begin = 0, length = 0; begin < slot.weight.numel(); begin += length) {
      length = std::min(slot.weight.numel() - begin, kPieceElements - pieces.elements);
      const auto piece = [&](const at::Tensor& tensor) { return flat(tensor.detach()).narrow(0, begin, length); };
      pieces.weights.push_back(slot.rounded() ? piece(slot.weight) : at::Tensor());
      pieces.masters.push_back(piece(slot.master));
      pieces.gradients.push_back(piece(gradient));
      pieces.moments1.push_back(piece(slot.moment1));
      pieces.moments2.push_back(piece(slot.moment2));
      pieces.elements += length;
      if (pieces.elements == kPieceElements) step_pieces(pieces, decayed, call);
    }
  }
  if (!in_place.masters.empty()) update(in_place, decayed, call);
  if (!pieces.masters.empty()) step_pieces(pieces, decayed, call);
}

// Converts, updates, and converts back. Leaves `pieces` empty.
void AdamW::step_pieces(Lists& pieces, bool decayed, Call& call) {
  Lists wide = {.weights = {}, .masters = pieces.masters, .gradients = {}, .moments1 = {}, .moments2 = {}};
  for (const at::Tensor& gradient : pieces.gradients) wide.gradients.push_back(gradient.to(at::kFloat));
  at::Tensor buffers;  // [2, elements]: both moments
  if (config_.moments == Storage::kFloat32) {
    wide.moments1 = pieces.moments1;
    wide.moments2 = pieces.moments2;
  } else {
    int64_t elements = 0;
    for (const at::Tensor& piece : pieces.masters) elements += aligned(piece.numel());
    buffers = at::zeros({2, elements}, pieces.masters.front().options());
    wide.moments1 = pieces_of(buffers[0], pieces.masters);
    wide.moments2 = pieces_of(buffers[1], pieces.masters);
    at::_foreach_copy_(wide.moments1, pieces.moments1);
    at::_foreach_copy_(wide.moments2, pieces.moments2);
  }
  update(wide, decayed, call);
  if (buffers.defined()) {
    check(call.pieces < kMostPieces, "a step of more than ", kMostPieces, " pieces");
    const auto name = static_cast<uint64_t>(call.index * kMostPieces + call.pieces);
    round_to_bfloat16(buffers, random_stream(seed_, "rounding of moments", name, buffers.device()));
    at::_foreach_copy_(pieces.moments1, wide.moments1);
    at::_foreach_copy_(pieces.moments2, wide.moments2);
  }
  std::vector<at::Tensor> weights, masters;
  for (size_t i = 0; i < pieces.weights.size(); ++i) {
    if (!pieces.weights[i].defined()) continue;
    weights.push_back(pieces.weights[i]);
    masters.push_back(pieces.masters[i]);
  }
  if (!weights.empty()) at::_foreach_copy_(weights, masters);
  ++call.pieces;
  pieces = {};
}

void AdamW::update(Lists& lists, bool decayed, const Call& call) {
  const std::vector<at::Tensor> steps(lists.masters.size(), steps_);  // read only: one count serves all
  const std::optional<at::Tensor> grad_scale = call.scale.defined() ? std::optional(call.scale) : std::nullopt;
  at::_fused_adamw_(lists.masters, lists.gradients, lists.moments1, lists.moments2, {}, steps, call.learning_rate,
                    config_.beta1, config_.beta2, decayed ? config_.weight_decay : 0.0, config_.epsilon,
                    /*amsgrad=*/false, /*maximize=*/false, grad_scale, call.step.skipped);
}

void AdamW::accumulate() {
  at::NoGradGuard no_grad;
  for (Slot& slot : slots_) {
    at::Tensor& gradient = slot.weight.mutable_grad();
    if (!slot.rounded() || !gradient.defined()) continue;
    slot.sum = slot.sum.defined() ? slot.sum.add_(gradient) : gradient.to(at::kFloat);
    gradient.reset();
  }
}

void AdamW::sum_over(const ProcessGroup& ranks) {
  if (ranks.size() == 1) return;
  at::NoGradGuard no_grad;
  std::vector<Pending> buckets;
  for (size_t begin = 0, end = 0; begin < slots_.size(); begin = end) {
    for (int64_t elements = 0; end < slots_.size() && (end == begin || elements < kPieceElements); ++end)
      elements += slots_[end].weight.numel();
    buckets.push_back(start_sum(ranks, begin, end));
  }
  for (Pending& bucket : buckets) bucket.wait();
}

// Copies the gradients of the slots into one buffer, whose pieces take their place, and starts to sum it. The copies
// release each gradient, so that no two of all gradients are held. A gradient that is missing here (this rank's tokens
// see no image) may exist on another rank: it counts as zeros.
Pending AdamW::start_sum(const ProcessGroup& ranks, size_t begin, size_t end) {
  int64_t elements = 0;
  for (size_t i = begin; i < end; ++i) elements += aligned(slots_[i].weight.numel());
  const at::Tensor buffer = at::zeros({elements}, slots_.front().master.options());
  int64_t at = 0;
  for (size_t i = begin; i < end; ++i) {
    Slot& slot = slots_[i];
    const at::Tensor gradient = slot.gradient();
    slot.sum = buffer.narrow(0, at, slot.weight.numel()).view(slot.weight.sizes());
    if (gradient.defined()) slot.sum.copy_(gradient);
    slot.weight.mutable_grad().reset();
    at += aligned(slot.weight.numel());
  }
  return ranks.start_all_reduce(buffer);
}

void AdamW::take(const std::vector<at::Tensor>& gradients) {
  check(gradients.size() == slots_.size(), gradients.size(), " gradients for ", slots_.size(), " tensors");
  for (size_t i = 0; i < slots_.size(); ++i) slots_[i].sum = gradients[i];
}

void AdamW::write_weights() {
  at::NoGradGuard no_grad;
  for (Slot& slot : slots_)
    if (slot.rounded()) slot.weight.detach().copy_(slot.master);
}

void AdamW::zero_grad() {
  for (Slot& slot : slots_) {
    slot.weight.mutable_grad().reset();
    slot.sum.reset();
  }
}

NamedTensors AdamW::state() const {
  NamedTensors state = {{"steps", steps_}};
  for (const Slot& slot : slots_) {
    state.emplace_back("moment1." + slot.name, slot.moment1);
    state.emplace_back("moment2." + slot.name, slot.moment2);
  }
  return state;
}

}  // namespace moga
