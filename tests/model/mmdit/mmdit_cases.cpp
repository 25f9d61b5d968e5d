// See mmdit_cases.h. The plain model reads the parameters by name and shares no layer with the implementation.
#include "tests/model/mmdit/mmdit_cases.h"

#include <ATen/ATen.h>

#include <cmath>

#include "moga/core/module_io.h"

namespace moga::test {
namespace {

// What the masks are made from, of every token of one video.
struct TokenPlace {
  int64_t frame, row, column, shot, shot_begin, shot_end;
};

std::vector<TokenPlace> places_of(const VideoShape& video) {
  std::vector<TokenPlace> places;
  const std::vector<int64_t> shots = video.shot_frames.empty() ? std::vector{video.frames} : video.shot_frames;
  int64_t begin = 0;
  for (size_t shot = 0; shot < shots.size(); begin += shots[shot++])
    for (int64_t frame = begin; frame < begin + shots[shot]; ++frame)
      for (int64_t row = 0; row < video.rows; ++row)
        for (int64_t column = 0; column < video.columns; ++column)
          places.push_back({frame, row, column, static_cast<int64_t>(shot), begin, begin + shots[shot]});
  return places;
}

template <class Sees>
at::Tensor mask_of(int64_t queries, int64_t keys, const Sees& sees) {
  at::Tensor mask = at::zeros({queries, keys}, at::kBool);
  bool* values = mask.mutable_data_ptr<bool>();
  for (int64_t i = 0; i < queries; ++i)
    for (int64_t j = 0; j < keys; ++j) values[i * keys + j] = sees(i, j);
  return mask;
}

at::Tensor masked_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& mask) {
  const at::Tensor logits = at::einsum("ihd,jhd->hij", {q, k}) / std::sqrt(static_cast<double>(q.size(2)));
  return at::einsum("hij,jhd->ihd", {logits.masked_fill(~mask, -INFINITY).softmax(-1), v}).flatten(1);
}

// One video and its captions.
class PlainVideo {
 public:
  PlainVideo(const MmditConfig& config, const TensorMap& weights, const VideoShape& video,
             const std::vector<int64_t>& text_lengths)
      : config_(config), weights_(weights), video_(video), places_(places_of(video)) {
    for (size_t shot = 0; shot < text_lengths.size(); ++shot)
      text_shots_.insert(text_shots_.end(), text_lengths[shot], static_cast<int64_t>(shot));
  }

  at::Tensor velocity(const at::Tensor& latent, const at::Tensor& timestep, const at::Tensor& text) {
    const int64_t channels = latent.size(0);
    at::Tensor x = latent.view({channels, video_.frames, video_.rows, 2, video_.columns, 2})
                       .permute({1, 2, 4, 0, 3, 5})
                       .reshape({video_.tokens(), channels * 4});
    x = x.matmul(weight("patch_embedding.weight").flatten(1).t()) + weight("patch_embedding.bias");
    at::Tensor c = mlp("text_embedding", text, /*silu=*/false);
    const at::Tensor half = at::arange(config_.freq_dim / 2, at::kDouble) / (config_.freq_dim / 2.0);
    const at::Tensor angle = timestep.to(at::kDouble) * at::pow(10000.0, -half);
    const at::Tensor embedding = mlp("time_embedding", at::cat({angle.cos(), angle.sin()}).unsqueeze(0), true);
    const at::Tensor active = at::silu(embedding);
    const at::Tensor e = linear("time_projection.1", active).view({9, -1});
    const at::Tensor t = linear("text_time_projection.1", active).view({6, -1});
    for (int64_t layer = 0; layer < config_.num_layers; ++layer) block(layer, x, c, e, t);
    const at::Tensor shift = (weight("head.modulation")[0] + embedding);  // [2, C]
    const at::Tensor rows = linear("head.head", norm(x) * (1 + shift[1]) + shift[0]);
    return rows.view({video_.frames, video_.rows, video_.columns, 2, 2, channels})
        .permute({5, 0, 1, 3, 2, 4})
        .reshape(latent.sizes());
  }

 private:
  at::Tensor weight(const std::string& name) const { return weights_.at(name); }
  at::Tensor linear(const std::string& name, const at::Tensor& x) const {
    return x.matmul(weight(name + ".weight").t()) + weight(name + ".bias");
  }
  at::Tensor mlp(const std::string& name, const at::Tensor& x, bool silu) const {
    const at::Tensor hidden = linear(name + ".0", x);
    return linear(name + ".2", silu ? at::silu(hidden) : at::gelu(hidden, "tanh"));
  }
  at::Tensor norm(const at::Tensor& x) const {
    const at::Tensor centred = x - x.mean(-1, true);
    return centred / (centred.square().mean(-1, true) + config_.eps).sqrt();
  }
  at::Tensor heads(const at::Tensor& x) const { return x.view({x.size(0), config_.num_attention_heads, -1}); }
  at::Tensor normed(const std::string& name, const at::Tensor& x) const {
    return heads(x / (x.square().mean(-1, true) + config_.eps).sqrt() * weight(name + ".weight"));
  }

  // Each pair of channels by its angle.
  at::Tensor rotated(const at::Tensor& x) const {
    const int64_t d = config_.attention_head_dim, spatial = 2 * (d / 6), temporal = d - 2 * spatial;
    at::Tensor y = x.clone();
    for (int64_t n = 0; n < x.size(0); ++n) {
      int64_t pair = 0;
      const auto axis = [&](int64_t position, int64_t size) {
        for (int64_t i = 0; i < size / 2; ++i, ++pair) {
          const double angle = static_cast<double>(position) * std::pow(10000.0, -2.0 * i / size);
          const at::Tensor a = x[n].select(1, 2 * pair), b = x[n].select(1, 2 * pair + 1);
          y[n].select(1, 2 * pair).copy_(a * std::cos(angle) - b * std::sin(angle));
          y[n].select(1, 2 * pair + 1).copy_(a * std::sin(angle) + b * std::cos(angle));
        }
      };
      axis(places_[n].frame, temporal);
      axis(places_[n].row, spatial);
      axis(places_[n].column, spatial);
    }
    return y;
  }

  at::Tensor visual(const std::string& name, const at::Tensor& y, bool full) const {
    const at::Tensor q = rotated(normed(name + ".norm_q", linear(name + ".q", y)));
    const at::Tensor k = rotated(normed(name + ".norm_k", linear(name + ".k", y)));
    const at::Tensor v = heads(linear(name + ".v", y));
    const auto attend = [&](const auto& sees) {
      const int64_t tokens = video_.tokens();
      return masked_attention(
          q, k, v, mask_of(tokens, tokens, [&](int64_t i, int64_t j) { return sees(i, j, places_[i], places_[j]); }));
    };
    using P = const TokenPlace&;
    if (full) return linear(name + ".o", attend([](int64_t, int64_t, P, P) { return true; }));
    const at::Tensor p = linear(name + ".router", y).softmax(-1);
    const auto [gate, group] = p.max(1);
    const int64_t* g = group.const_data_ptr<int64_t>();
    at::Tensor sum = attend([&](int64_t i, int64_t j, P, P) { return g[i] == g[j]; });
    if (config_.moga.gate == Gate::kProbability) sum = sum * gate.unsqueeze(1);
    double branches = 1;
    const auto add = [&](const auto& sees) { sum = sum + attend(sees), ++branches; };
    if (config_.moga.frame) add([](int64_t, int64_t, P a, P b) { return a.frame == b.frame; });
    const int64_t beyond = config_.moga.windows.boundary_frames;
    if (config_.moga.window)
      add([&](int64_t, int64_t, P a, P b) {
        const bool cell = a.row / (video_.rows / 2) == b.row / (video_.rows / 2) &&
                          a.column / (video_.columns / 2) == b.column / (video_.columns / 2);
        return cell && b.frame >= a.shot_begin - beyond && b.frame < a.shot_end + beyond;
      });
    return linear(name + ".o", sum / branches);
  }

  // Video rows, then text rows.
  at::Tensor joint_mask() const {
    const int64_t video = video_.tokens(), all = video + static_cast<int64_t>(text_shots_.size());
    const auto shot = [&](int64_t i) { return i < video ? places_[i].shot : text_shots_[i - video]; };
    return mask_of(all, all, [&](int64_t i, int64_t j) {
      if (shot(i) != shot(j)) return false;
      const bool both_video = i < video && j < video;
      return config_.joint == JointScope::kShot || !both_video || places_[i].frame == places_[j].frame;
    });
  }

  void block(int64_t layer, at::Tensor& x, at::Tensor& c, const at::Tensor& of_time, const at::Tensor& of_time_text) {
    const std::string name = "blocks." + std::to_string(layer) + ".";
    const bool last = layer + 1 == config_.num_layers;
    const at::Tensor e = weight(name + "modulation")[0] + of_time, own = weight(name + "text.modulation")[0];
    const at::Tensor t = own + of_time_text.narrow(0, 0, own.size(0));
    const bool full = config_.moga.of_layer(layer).kind == AttentionKind::kFull;
    x = x + e[2] * visual(name + "self_attn", norm(x) * (1 + e[1]) + e[0], full);

    const std::string video = name + "cross_attn", text = name + "text.cross_attn";
    const at::Tensor y = norm(x) * (1 + e[4]) + e[3], z = norm(c) * (1 + t[1]) + t[0];
    at::Tensor q = rotated(normed(video + ".norm_q", linear(video + ".q", y)));
    const at::Tensor k = at::cat({rotated(normed(video + ".norm_k", linear(video + ".k", y))),
                                  normed(text + ".norm_k", linear(text + ".k", z))});
    const at::Tensor v = at::cat({heads(linear(video + ".v", y)), heads(linear(text + ".v", z))});
    if (!last) q = at::cat({q, normed(text + ".norm_q", linear(text + ".q", z))});
    const at::Tensor attended = masked_attention(q, k, v, joint_mask().narrow(0, 0, q.size(0)));
    x = x + e[5] * linear(video + ".o", attended.narrow(0, 0, x.size(0)));
    x = x + e[8] * mlp(name + "ffn", norm(x) * (1 + e[7]) + e[6], false);
    if (last) return;
    c = c + t[2] * linear(text + ".o", attended.narrow(0, x.size(0), c.size(0)));
    c = c + t[5] * mlp(name + "text.ffn", norm(c) * (1 + t[4]) + t[3], false);
  }

  const MmditConfig& config_;
  const TensorMap& weights_;
  VideoShape video_;
  std::vector<TokenPlace> places_;
  std::vector<int64_t> text_shots_;
};

}  // namespace

MmditConfig small_mmdit(JointScope joint) {
  MmditConfig config;
  config.num_attention_heads = 2;
  config.attention_head_dim = 12;
  config.in_channels = 4;
  config.text_dim = 16;
  config.freq_dim = 16;
  config.ffn_dim = 32;
  config.num_layers = 2;
  config.text_len = 6;
  config.joint = joint;
  config.moga.groups = 3;
  config.moga.windows = {.rows = 2, .columns = 2, .run_frames = 4};
  return config;
}

Mmdit random_mmdit(const MmditConfig& config) {
  Mmdit model(config);
  const at::NoGradGuard no_grad;
  for (at::Tensor& parameter : model->parameters()) parameter.add_(at::randn_like(parameter), 0.1);
  return model;
}

VideoModelInput mmdit_input(const MmditConfig& config, const std::vector<VideoShape>& videos) {
  VideoModelInput input;
  input.layout.videos = videos;
  for (const VideoShape& video : videos) input.latents.push_back(at::randn(config.latent_shape(video)));
  input.timestep = at::rand({static_cast<int64_t>(videos.size())}) * 1000;
  input.text = at::randn({input.layout.shots(), config.text_len, config.text_dim});
  for (int64_t shot = 0; shot < input.layout.shots(); ++shot)
    input.text_lengths.push_back(1 + (4 + 3 * shot) % config.text_len);
  return input;
}

VideoModelInput to_double(VideoModelInput input) {
  for (at::Tensor& latent : input.latents) latent = latent.to(at::kDouble);
  input.text = input.text.to(at::kDouble);
  input.timestep = input.timestep.to(at::kDouble);
  return input;
}

std::vector<at::Tensor> plain_mmdit(const Mmdit& model, const VideoModelInput& input) {
  const TensorMap weights = named_tensors(*model);
  std::vector<at::Tensor> velocities;
  int64_t shot = 0;
  for (size_t i = 0; i < input.latents.size(); ++i) {
    const VideoShape& video = input.layout.videos[i];
    std::vector<int64_t> lengths;
    std::vector<at::Tensor> text;
    for (const int64_t end = shot + video.shots(); shot < end; ++shot) {
      lengths.push_back(input.text_lengths[shot]);
      text.push_back(input.text[shot].narrow(0, 0, lengths.back()));
    }
    velocities.push_back(PlainVideo(model->config(), weights, video, lengths)
                             .velocity(input.latents[i], input.timestep[i], at::cat(text)));
  }
  return velocities;
}

}  // namespace moga::test
