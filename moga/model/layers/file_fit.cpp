// See file_fit.h.
#include "moga/model/layers/file_fit.h"

#include <algorithm>
#include <array>

#include "moga/core/check.h"

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

template <class Marks>
const Mark* mark_of(const std::string& name, const Marks& marks) {
  const auto found = std::ranges::find_if(marks, [&](const Mark& mark) { return name.find(mark.part) != name.npos; });
  return found == marks.end() ? nullptr : &*found;
}

std::string tensors(size_t count) { return std::to_string(count) + (count == 1 ? " tensor" : " tensors"); }

void check_not_quantized(const Safetensors& file) {
  for (const std::string& name : file.names())
    if (const Mark* mark = mark_of(name, kQuantized))
      fail(file.source(), ": ", mark->means, " weights (", name,
           ") are not supported, expected float32, bfloat16, float16, or float8_e4m3fn with scales");
}

void check_misfits(const FileFit& fit, const Safetensors& file) {
  const size_t misfits = fit.misfits.size();
  if (misfits == 0) return;
  fail(file.source(), ": tensor ", fit.misfits[0].name, " ", fit.misfits[0].problem,
       misfits > 1 ? "; " + std::to_string(misfits - 1) + " more do not fit" : "");
}

}  // namespace

void check_file_fit(const FileFit& fit, const Safetensors& file, std::span<const std::string_view> harmless) {
  check_not_quantized(file);
  std::vector<std::string> unused = fit.report.unused;
  std::erase_if(unused, [&](const std::string& name) {
    return std::ranges::any_of(harmless, [&](std::string_view part) { return name.find(part) != name.npos; });
  });
  const auto scale = std::ranges::find_if(unused, [](const std::string& name) {
    return name.ends_with(".scale_weight") || name.ends_with(".weight_scale");
  });
  check(scale == unused.end(), file.source(), ": ", scale == unused.end() ? "" : *scale,
        ": scale of a weight that cannot be kept in 8 bits");
  const auto marked = std::ranges::find_if(unused, [](const auto& name) { return mark_of(name, kForeign); });
  if (marked != unused.end())
    fail(file.source(), ": ", tensors(unused.size()), " for which the model has no use, among them ", *marked, ": ",
         mark_of(*marked, kForeign)->means, ", of which config.json says nothing");
  check_misfits(fit, file);
  check(unused.empty(), file.source(), ": ", tensors(unused.size()), " for which config.json has no use, first ",
        unused.empty() ? "" : unused.front());
}

}  // namespace moga
