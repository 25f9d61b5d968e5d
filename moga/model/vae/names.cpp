// See names.h. The pairs are those of diffusers' scripts/convert_wan_to_diffusers.py.
#include "moga/model/vae/names.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "moga/core/check.h"

namespace moga {
namespace {

struct Beginning {  // the beginning of a name
  std::string_view wan, diffusers;
};

constexpr std::array kModelPairs = {
    Beginning{"conv1.", "quant_conv."},
    Beginning{"conv2.", "post_quant_conv."},
};

// After "encoder." or "decoder.".
constexpr std::array kCoderPairs = {
    Beginning{"conv1.", "conv_in."},
    Beginning{"head.0.", "norm_out."},
    Beginning{"head.2.", "conv_out."},
    Beginning{"middle.0.", "mid_block.resnets.0."},
    Beginning{"middle.1.", "mid_block.attentions.0."},
    Beginning{"middle.2.", "mid_block.resnets.1."},
};

// After the name of a layer.
constexpr std::array kLayerPairs = {
    Beginning{"residual.0.", "norm1."},       Beginning{"residual.2.", "conv1."},
    Beginning{"residual.3.", "norm2."},       Beginning{"residual.6.", "conv2."},
    Beginning{"shortcut.", "conv_shortcut."}, Beginning{"resample.1.", "resample.1."},
    Beginning{"time_conv.", "time_conv."},    Beginning{"norm.", "norm."},
    Beginning{"to_qkv.", "to_qkv."},          Beginning{"proj.", "proj."},
};

// If `name` begins with one of the pairs, appends diffusers' beginning to `out` and removes Wan2.1's.
template <size_t n>
bool replace_beginning(std::string_view& name, const std::array<Beginning, n>& pairs, std::string& out) {
  for (const Beginning& pair : pairs) {
    if (!name.starts_with(pair.wan)) continue;
    out.append(pair.diffusers);
    name.remove_prefix(pair.wan.size());
    return true;
  }
  return false;
}

bool cut(std::string_view& name, std::string_view beginning) {
  if (!name.starts_with(beginning)) return false;
  name.remove_prefix(beginning.size());
  return true;
}

// Removes "12." from the front.
std::optional<int64_t> cut_number(std::string_view& name) {
  const size_t dot = name.find('.');
  if (dot == 0 || dot > 4 ||
      !std::all_of(name.begin(), name.begin() + dot, [](char c) { return c >= '0' && c <= '9'; }))
    return std::nullopt;
  const int64_t number = std::stoll(std::string(name.substr(0, dot)));
  name.remove_prefix(dot + 1);
  return number;
}

// "upsamples.N." holds, for each level, num_res_blocks + 1 residual blocks and the resampling.
std::string up_block(int64_t number, const VaeConfig& config) {
  const int64_t blocks = config.num_res_blocks + 1, level = number / (blocks + 1), place = number % (blocks + 1);
  const std::string prefix = "up_blocks." + std::to_string(level);
  return prefix + (place < blocks ? ".resnets." + std::to_string(place) + "." : ".upsamplers.0.");
}

// Wan2.2 numbers levels too: "upsamples.N.upsamples.M.", "downsamples.N.downsamples.M.".
std::string residual_level(std::string_view& rest, int64_t level, bool up, const VaeConfig& config) {
  if (!cut(rest, up ? "upsamples." : "downsamples.")) return "";
  const auto place = cut_number(rest);
  if (!place) return "";
  const int64_t blocks = config.num_res_blocks + (up ? 1 : 0);
  const std::string prefix = (up ? "up_blocks." : "down_blocks.") + std::to_string(level);
  if (*place < blocks) return prefix + ".resnets." + std::to_string(*place) + ".";
  return prefix + (up ? ".upsampler." : ".downsampler.");
}

}  // namespace

std::string diffusers_vae_name(const std::string& name, const VaeConfig& config) {
  std::string_view rest = name;
  std::string out;
  if (replace_beginning(rest, kModelPairs, out)) return out.append(rest);
  for (const std::string_view coder : {"encoder.", "decoder."})
    if (cut(rest, coder)) out = coder;
  const bool up = cut(rest, "upsamples."), down = !up && cut(rest, "downsamples.");
  if (up || down) {
    const auto number = cut_number(rest);
    check(number.has_value(), "expected a layer number in the name of the VAE's tensor ", name);
    out += config.is_residual ? residual_level(rest, *number, up, config)
           : up               ? up_block(*number, config)
                              : "down_blocks." + std::to_string(*number) + ".";
    check(replace_beginning(rest, kLayerPairs, out), "no diffusers name for the VAE's tensor ", name);
  } else {
    check(!out.empty() && replace_beginning(rest, kCoderPairs, out), "no diffusers name for the VAE's tensor ", name);
    replace_beginning(rest, kLayerPairs, out);
  }
  return out.append(rest);
}

WeightLayout detect_vae_layout(const std::vector<std::string>& names, const std::string& source) {
  const auto holds = [&](const char* name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  if (holds("decoder.conv1.weight")) return WeightLayout::kWan;
  if (holds("decoder.conv_in.weight")) return WeightLayout::kDiffusers;
  fail(source, ": no VAE weights: neither decoder.conv1.weight (Wan2.1) nor decoder.conv_in.weight (diffusers) among ",
       names.size(), " tensors");
}

}  // namespace moga
