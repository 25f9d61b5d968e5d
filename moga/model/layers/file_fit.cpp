// See file_fit.h.
#include "moga/model/layers/file_fit.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "moga/core/check.h"
#include "moga/core/json_text.h"

namespace moga {
namespace {

struct Mark {
  std::string_view part;  // of a tensor's name
  const char* means;
};

// Scales and tables next to quantized weights that are not read. Scaled fp8 is: scaled_weights.h.
constexpr std::array kQuantized = {
    Mark{"weight_scale_inv", "float8 with scales of blocks (DeepSeek)"},
    Mark{"weight_scale_2", "nvfp4"},
    Mark{".absmax", "quantized (bitsandbytes)"},
    Mark{".quant_map", "quantized (bitsandbytes)"},
    Mark{".quant_state", "quantized (bitsandbytes)"},
    Mark{".SCB", "quantized (bitsandbytes)"},
    Mark{".qweight", "quantized (GPTQ)"},
};

// Of scaled fp8, where the model keeps no weight in 8 bits.
constexpr std::array kScaleNames = {
    Mark{".scale_weight", "scale of a weight that cannot be kept in 8 bits"},
    Mark{".weight_scale", "scale of a weight that cannot be kept in 8 bits"},
};

// Parts of models of the Wan family that its config.json has to name, and of relatives that are not supported.
constexpr std::array kForeign = {
    Mark{"vace_", "VACE blocks, for controlled generation"},
    Mark{"img_emb", "an image-to-video model's projection of the image"},
    Mark{"image_embedder", "an image-to-video model's projection of the image"},
    Mark{"k_img", "an image-to-video model's attention to the image"},
    Mark{"v_img", "an image-to-video model's attention to the image"},
    Mark{"add_k_proj", "an image-to-video model's attention to the image"},
    Mark{"add_v_proj", "an image-to-video model's attention to the image"},
    Mark{"norm_added_k", "an image-to-video model's attention to the image"},
    Mark{"fps_", "a frame-rate embedding, as in SkyReels-V2's diffusion forcing"},
    Mark{"face_", "a face adapter, as in Wan2.2-Animate"},
    Mark{"motion_encoder", "a motion encoder, as in Wan2.2-Animate"},
    Mark{"pose_patch", "a pose embedding, as in Wan2.2-Animate"},
    Mark{"audio_", "an audio encoder, as in Wan2.2-S2V"},
    Mark{"control_adapter", "a camera adapter"},
    Mark{"ref_conv", "a reference image's embedding"},
    Mark{"lora_", "low-rank updates that are not merged"},
};

// A name on one line whatever it contains.
std::string shown(const std::string& name) {
  const std::string text = quoted(name);
  return text.substr(1, text.size() - 2);
}

bool has(const Mark& mark, const std::string& name) { return name.find(mark.part) != name.npos; }

// The first unused name with a mark that no name of the model has, and what the mark means; empty where there is none.
struct Found {
  std::string name;
  const char* means = nullptr;
};

Found find_marked(const FileFit& fit, std::span<const Mark> marks) {
  for (const std::string& name : fit.report.unused)
    for (const Mark& mark : marks)
      if (has(mark, name) &&
          std::ranges::none_of(fit.file_names, [&](const auto& own) { return has(mark, own.second); }))
        return {shown(name), mark.means};
  return {};
}

std::string tensors(size_t count) { return std::to_string(count) + (count == 1 ? " tensor" : " tensors"); }

}  // namespace

void check_file_fit(const FileFit& fit) {
  const std::vector<std::string>& unused = fit.report.unused;
  if (const Found found = find_marked(fit, kQuantized); found.means)
    fail(fit.source, ": ", found.means, " weights (", found.name,
         ") are not supported, expected float32, bfloat16, float16, or float8_e4m3fn with scales");
  if (const Found found = find_marked(fit, kScaleNames); found.means)
    fail(fit.source, ": ", found.name, ": ", found.means);
  if (const Found found = find_marked(fit, kForeign); found.means)
    fail(fit.source, ": ", tensors(unused.size()), " for which the model has no use, among them ", found.name, ": ",
         found.means, ", of which config.json says nothing");
  check_misfits(fit);
  if (!unused.empty())
    fail(fit.source, ": ", tensors(unused.size()), " for which config.json has no use, first ", shown(unused.front()));
}

}  // namespace moga
