// Weights of a file that are stored in 8 bits with a scale, w = scale · float8_e4m3fn, in both layouts in use:
//
//   X.weight F8_E4M3, X.scale_weight F32, and a tensor scaled_fp8                        (ComfyUI's first)
//   X.weight F8_E4M3, X.weight_scale F32, and X.comfy_quant or _quantization_metadata    (its second)
//
// They are loaded as they are and stay in 8 bits (product_weight.h). Scales of activations (input_scale) are not used:
// products run on dequantised weights, or quantise their input themselves. Other formats are refused by name.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "moga/core/module_io.h"

namespace moga {

struct ScaledWeights {
  std::map<std::string, std::string> scale_of;  // weight → its scale, both as the file names them
  std::set<std::string> markers;                // tensors that describe the format and hold no weights
};

// Reads names, dtypes and the formats that a file states. Throws one line that names a format that is not supported:
// nvfp4, mxfp8, int8, blocks of scales and others.
ScaledWeights find_scaled_weights(const Safetensors& file);

// Makes the module's product weights that the file has in 8 bits so. Afterwards `options` finds the scales, too.
void expect_scaled_weights(torch::nn::Module& module, const Safetensors& file, LoadOptions& options);

// file_fit of a module whose weights may be in 8 bits; such a module may be on the meta device.
FileFit scaled_file_fit(torch::nn::Module& module, const Safetensors& file, LoadOptions options);

// Replaces the weights that saved_tensors writes in 8 bits by 8-bit weights with one scale each, on their device.
void quantise_weights(torch::nn::Module& module);

// A module's tensors under its own names as a file holds them: low-rank updates merged, and each weight in the dtype
// that `dtype_of` says for its name. With kFloat8_e4m3fn attention and feed-forward weights of blocks are written in 8
// bits with "scale_weight", everything else in bfloat16, and the marker "scaled_fp8" is added. A weight that is in 8
// bits already keeps its bits.
TensorMap saved_tensors(const torch::nn::Module& module,
                        const std::function<at::ScalarType(const std::string&)>& dtype_of);

}  // namespace moga
