// TransNetV2. See transnet.h.
#include "moga/data/cuts/transnet.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <set>

#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/safetensors.h"

namespace moga {
namespace {

constexpr int64_t kLookup = 101, kBins = 512;
constexpr int64_t kLeastGradual = 3, kLargestGap = 4;  // frames
constexpr int64_t kReach = 8;                          // frames that a block sees before and after its own
constexpr double kBatchNormEps = 1e-3;
constexpr int kDilations[] = {1, 2, 4, 8};

// [T, C] of unit length → [T, 101]: similarity to the 50 frames before, itself and the 50 after; 0 beyond the window.
at::Tensor similarity_around(const at::Tensor& x) {
  const int64_t frames = x.size(0);
  const at::Tensor all = at::constant_pad_nd(x.matmul(x.t()), {kLookup / 2, kLookup / 2});
  return all.as_strided({frames, kLookup}, {all.stride(0) + 1, 1}).contiguous();
}

at::Tensor unit_rows(const at::Tensor& x) { return x / x.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12); }

// uint8 [T, 27, 48, 3] → [T, 512], colours of 3 bits per channel, of unit length.
at::Tensor histograms(const at::Tensor& frames) {
  const at::Tensor high = at::div(frames.to(at::kLong), 32, "trunc");
  const at::Tensor bins = (high.select(3, 0) * 64 + high.select(3, 1) * 8 + high.select(3, 2)).flatten(1);
  const at::Tensor counts = at::zeros({frames.size(0), kBins}, bins.options().dtype(at::kFloat));
  counts.scatter_add_(1, bins, at::ones_like(bins, bins.options().dtype(at::kFloat)));
  return unit_rows(counts);
}

struct Run {
  int64_t first = 0, last = 0;
  double highest = 0;
};

// Frames above a threshold; runs that are at most `gap` frames apart are one.
std::vector<Run> runs_above(const std::vector<float>& values, double threshold, int64_t gap) {
  std::vector<Run> runs;
  for (int64_t i = 0; i < static_cast<int64_t>(values.size()); ++i) {
    const double value = values[static_cast<size_t>(i)];
    if (value <= threshold) continue;
    if (runs.empty() || i - runs.back().last - 1 > gap) runs.push_back({i, i, value});
    runs.back().last = i;
    runs.back().highest = std::max(runs.back().highest, value);
  }
  return runs;
}

// The convolution of a block over space. After `blocks` blocks, frames up to kReach * blocks from a window's ends
// differ from those of other windows, because zeros are beyond the ends; the others are taken from the window before.
at::Tensor over_space(const at::Tensor& weight, const at::Tensor& x, int64_t blocks, at::Tensor& shared) {
  const int64_t from = kReach * blocks, until = TransNet::kStep - kReach * blocks;
  const auto conv = [&](const at::Tensor& frames) { return at::conv2d(frames, weight, {}, 1, 1); };
  const bool shares = until > from && x.size(0) == TransNet::kWindow;
  at::Tensor all =
      shares && shared.defined() ? at::cat({conv(x.slice(0, 0, from)), shared, conv(x.slice(0, until))}) : conv(x);
  if (shares) shared = all.slice(0, TransNet::kStep + from, TransNet::kStep + until).clone();
  return all;
}

}  // namespace

// Takes tensors out of the file and remembers which were used.
class TransNet::Reader {
 public:
  Reader(const std::filesystem::path& path, c10::Device device) : file_(path), device_(device) {}

  bool has(const std::string& name) const { return file_.contains(name); }
  at::Tensor take(const std::string& name) {
    check(file_.contains(name), file_.source(), ": tensor ", name,
          " is missing; expected weights of TransNetV2, made by "
          "tools/convert_transnetv2.py");
    used_.insert(name);
    return file_.load(name).to(device_, at::kFloat);
  }
  at::Tensor take(const std::string& name, at::IntArrayRef shape) {
    const at::Tensor tensor = take(name);
    check(tensor.sizes() == shape, file_.source(), ": tensor ", name, " has shape ", tensor.sizes(), ", expected ",
          shape);
    return tensor;
  }
  Linear linear(const std::string& name, int64_t inputs, int64_t outputs) {
    return {take(name + ".weight", {outputs, inputs}), take(name + ".bias", {outputs})};
  }
  Block block(const std::string& name, int64_t inputs, int64_t filters) {
    Block block;
    std::vector<at::Tensor> space;
    const at::Tensor scale = take(name + ".bn.weight", {4 * filters}) *
                             (take(name + ".bn.running_var", {4 * filters}) + kBatchNormEps).rsqrt();
    for (int i = 0; i < 4; ++i) {
      const std::string layers = name + ".Conv3D_" + std::to_string(kDilations[i]) + ".layers.";
      space.push_back(take(layers + "0.weight", {2 * filters, inputs, 1, 3, 3}).squeeze(2));
      const at::Tensor time = take(layers + "1.weight", {filters, 2 * filters, 3, 1, 1}).squeeze(4);
      block.time.push_back((time * scale.slice(0, i * filters, (i + 1) * filters).view({-1, 1, 1, 1}))
                               .contiguous(at::MemoryFormat::ChannelsLast));
    }
    block.space = at::cat(space).contiguous(at::MemoryFormat::ChannelsLast);
    block.bias =
        (take(name + ".bn.bias", {4 * filters}) - scale * take(name + ".bn.running_mean", {4 * filters})).chunk(4);
    return block;
  }
  void finish() {
    for (const std::string& name : file_.names())
      check(used_.contains(name), file_.source(), ": tensor ", name, " is not one of TransNetV2");
  }

 private:
  Safetensors file_;
  c10::Device device_;
  std::set<std::string> used_;
};

TransNet::TransNet(const std::filesystem::path& weights, c10::Device device) : device_(device) {
  Reader reader(weights, device);
  const std::string first = "SDDCNN.0.DDCNN.0";
  int64_t filters = reader.take(first + ".bn.bias").size(0) / 4, inputs = 3, features = 0;
  int64_t rows = kHeight, columns = kWidth;
  for (int64_t stack = 0; reader.has("SDDCNN." + std::to_string(stack) + ".DDCNN.0.bn.bias"); ++stack) {
    std::vector<Block> blocks;
    for (int64_t i = 0;; ++i) {
      const std::string name = "SDDCNN." + std::to_string(stack) + ".DDCNN." + std::to_string(i);
      if (!reader.has(name + ".bn.bias")) break;
      blocks.push_back(reader.block(name, inputs, filters));
      inputs = 4 * filters;
    }
    stacks_.push_back(std::move(blocks));
    features += inputs;
    filters *= 2;
    rows /= 2;
    columns /= 2;
  }
  const int64_t similarity = reader.take("frame_sim_layer.projection.bias").size(0);
  projection_ = reader.linear("frame_sim_layer.projection", features, similarity);
  const int64_t lookup = reader.take("frame_sim_layer.fc.bias").size(0);
  similarity_ = reader.linear("frame_sim_layer.fc", kLookup, lookup);
  histogram_ = reader.linear("color_hist_layer.fc", kLookup, lookup);
  const int64_t hidden = reader.take("fc1.bias").size(0);
  hidden_ = reader.linear("fc1", 2 * lookup + inputs * rows * columns, hidden);
  ends_ = reader.linear("cls_layer1", hidden, 1);
  within_ = reader.linear("cls_layer2", hidden, 1);
  reader.finish();
}

// [T, 8 F, Y, X] → [T, 4 F, Y, X], channels last. Time and space are the two axes of a picture: 2.4 times as fast as
// products per tap on a CPU.
at::Tensor TransNet::over_time(const Block& block, const at::Tensor& space) {
  const int64_t frames = space.size(0), rows = space.size(2), columns = space.size(3),
                filters = block.bias.front().size(0);
  const at::Tensor picture = space.permute({1, 0, 2, 3}).flatten(2).unsqueeze(0);  // [1, 8 F, T, Y X]
  std::vector<at::Tensor> parts;
  for (size_t i = 0; i < block.time.size(); ++i) {
    const int64_t first = 2 * filters * static_cast<int64_t>(i);
    const at::Tensor own = picture.slice(1, first, first + 2 * filters).contiguous(at::MemoryFormat::ChannelsLast);
    parts.push_back(at::conv2d(own, block.time[i], block.bias[i], 1, {kDilations[i], 0}, {kDilations[i], 1}));
  }
  return at::cat(parts, 1)[0].view({4 * filters, frames, rows, columns}).transpose(0, 1);
}

TransNet::Predictions TransNet::operator()(const at::Tensor& frames, Shared& shared) const {
  at::NoGradGuard no_grad;
  const at::Tensor pixels = frames.to(device_);
  at::Tensor x = pixels.permute({0, 3, 1, 2}).to(at::kFloat).div_(255).contiguous(at::MemoryFormat::ChannelsLast);
  std::vector<at::Tensor> means;
  size_t blocks = 0;
  for (const std::vector<Block>& stack : stacks_) {
    at::Tensor shortcut;
    for (size_t i = 0; i < stack.size(); ++i, ++blocks) {
      if (shared.space.size() <= blocks) shared.space.emplace_back();
      x = over_time(stack[i], over_space(stack[i].space, x, static_cast<int64_t>(blocks), shared.space[blocks]));
      if (i + 1 < stack.size()) x.relu_();
      if (i == 0) shortcut = x;
    }
    x = at::avg_pool2d(x.relu() + shortcut, 2);
    means.push_back(x.mean({2, 3}));
  }
  const auto apply = [](const Linear& linear, const at::Tensor& input) {
    return at::linear(input, linear.weight, linear.bias);
  };
  const at::Tensor near = unit_rows(apply(projection_, at::cat(means, 1)));
  const at::Tensor all =
      at::cat({apply(histogram_, similarity_around(histograms(pixels))).relu_(),
               apply(similarity_, similarity_around(near)).relu_(), x.permute({0, 2, 3, 1}).flatten(1)},
              1);
  const at::Tensor hidden = apply(hidden_, all).relu_();
  const auto probability = [&](const Linear& linear) { return apply(linear, hidden).sigmoid().flatten().cpu(); };
  return {probability(ends_), probability(within_)};
}

TransNetCuts::TransNetCuts(const CutConfig& config)
    : threshold_(config.transnet_threshold),
      within_threshold_(config.transnet_within),
      net_(config.weights, parse_device(config.device)) {}

void TransNetCuts::add(const uint8_t* rgb) {
  const at::Tensor frame = at::empty({TransNet::kHeight, TransNet::kWidth, 3}, at::kByte);
  std::copy_n(rgb, frame.numel(), frame.data_ptr<uint8_t>());
  for (int64_t i = 0; frames_ == 0 && i < TransNet::kMargin; ++i) push(frame);
  ++frames_;
  push(frame);
}

void TransNetCuts::push(const at::Tensor& frame) {
  window_.push_back(frame);
  if (static_cast<int64_t>(window_.size()) < TransNet::kWindow) return;
  const auto seen = net_(at::stack(std::vector<at::Tensor>(window_.begin(), window_.end())), shared_);
  const auto keep = [](const at::Tensor& values, std::vector<float>& all) {
    const float* first = values.const_data_ptr<float>() + TransNet::kMargin;
    all.insert(all.end(), first, first + TransNet::kStep);
  };
  keep(seen.ends, ends_);
  keep(seen.within, within_);
  window_.erase(window_.begin(), window_.begin() + TransNet::kStep);
}

std::vector<Boundary> TransNetCuts::finish() {
  if (frames_ == 0) return {};
  const at::Tensor last = window_.back();
  while (static_cast<int64_t>(ends_.size()) < frames_) push(last);
  ends_.resize(static_cast<size_t>(frames_));
  within_.resize(static_cast<size_t>(frames_));
  return transnet_boundaries(ends_, within_, threshold_, within_threshold_);
}

std::vector<Boundary> transnet_boundaries(const std::vector<float>& ends, const std::vector<float>& within,
                                          double threshold, double within_threshold) {
  const auto frames = static_cast<int64_t>(ends.size());
  std::vector<Boundary> found;
  for (const Run& run : runs_above(within, within_threshold, kLargestGap))
    if (run.last - run.first + 1 >= kLeastGradual)
      found.push_back({run.first - 1, run.last + 1, run.highest, within_threshold});
  const size_t gradual = found.size();
  for (const Run& run : runs_above(ends, threshold, 0)) {
    const auto meets = [&](const Boundary& one) { return one.before <= run.last && run.first <= one.after; };
    if (std::none_of(found.begin(), found.begin() + static_cast<int64_t>(gradual), meets))
      found.push_back({run.first, run.last + 1, run.highest, threshold});
  }
  std::erase_if(found, [&](const Boundary& one) { return one.before <= 0 || one.after >= frames; });
  std::sort(found.begin(), found.end(), [](const Boundary& a, const Boundary& b) { return a.before < b.before; });
  return found;
}

}  // namespace moga
