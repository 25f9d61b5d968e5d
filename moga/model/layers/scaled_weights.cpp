// See scaled_weights.h.
#include "moga/model/layers/scaled_weights.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/core/json_text.h"
#include "moga/model/layers/product_weight.h"

namespace moga {
namespace {

constexpr const char* kFormat = "float8_e4m3fn";
constexpr const char* kQuantizationMetadata = "_quantization_metadata";
constexpr const char* kMarker = "scaled_fp8";
constexpr std::array<std::string_view, 2> kScales = {".scale_weight", ".weight_scale"};
constexpr std::array<std::string_view, 3> kMarkers = {".scale_input", ".input_scale", ".comfy_quant"};

constexpr int64_t kMostJsonBytes = 65536;

[[noreturn]] void refuse(const Safetensors& file, const std::string& format, const std::string& name) {
  fail(file.source(), ": weights in ", printable(format), " (", printable(name), ") are not supported, expected ",
       "float32, bfloat16, float16, or ", kFormat, " with scales");
}

// {"format": "float8_e4m3fn", …}
void check_format(const nlohmann::json& layer, const Safetensors& file, const std::string& name) {
  const auto format = layer.is_object() ? layer.find("format") : layer.end();
  check(layer.is_object() && format != layer.end() && format->is_string(), file.source(), ": ", printable(name),
        ": states no format of quantization");
  if (format->get<std::string>() != kFormat) refuse(file, format->get<std::string>(), name);
}

// A tensor of bytes that holds JSON.
void check_comfy_quant(const Safetensors& file, const std::string& name) {
  const std::vector<int64_t> shape = file.shape(name);
  check(file.dtype(name) == at::kByte && c10::multiply_integers(shape) <= kMostJsonBytes, file.source(), ": ", name,
        " holds ", file.dtype(name), " ", at::IntArrayRef(shape), ", expected the bytes of a JSON text");
  const at::Tensor bytes = file.load(name);
  const std::string text(static_cast<const char*>(bytes.const_data_ptr()), bytes.nbytes());
  check_format(parse_json_object(text, file.source() + ": " + name), file, name);
}

void check_metadata(const Safetensors& file) {
  const auto metadata = file.metadata();
  const auto found = metadata.find(kQuantizationMetadata);
  if (found == metadata.end()) return;
  const nlohmann::json json = parse_json_object(found->second, file.source() + ": " + kQuantizationMetadata);
  const auto layers = json.find("layers");
  check(layers != json.end() && layers->is_object(), file.source(), ": ", kQuantizationMetadata, ": has no layers");
  for (const auto& [name, layer] : layers->items()) check_format(layer, file, name);
}

// The weight that a scale belongs to; empty if the name is not that of a scale.
std::string weight_of(const std::string& name) {
  for (const std::string_view suffix : kScales)
    if (name.ends_with(suffix)) return name.substr(0, name.size() - suffix.size()) + ".weight";
  return "";
}

void check_pair(const Safetensors& file, const std::string& weight, const std::string& scale) {
  check(file.contains(weight), file.source(), ": ", scale, " has no ", weight);
  const at::ScalarType dtype = file.dtype(weight), of_scale = file.dtype(scale);
  if (of_scale == at::kFloat8_e8m0fnu) refuse(file, "mxfp8", scale);
  if (file.contains(weight + "_scale_2")) refuse(file, "nvfp4", weight);
  if (dtype == at::kChar || dtype == at::kByte) refuse(file, dtype == at::kChar ? "int8" : "packed bytes", weight);
  if (dtype != at::kFloat8_e4m3fn)
    fail(file.source(), ": ", weight, " holds ", dtype, " and has a scale, expected ", kFormat);
  const std::vector<int64_t> shape = file.shape(scale), rows = file.shape(weight);
  const int64_t count = c10::multiply_integers(shape);
  const bool per_row = !rows.empty() && !shape.empty() && count == rows[0] && shape[0] == count;
  if (count != 1 && !per_row) refuse(file, "float8 with scales of blocks", scale);
  check(c10::isFloatingType(of_scale), file.source(), ": ", scale, " holds ", of_scale, ", expected float32");
  const at::Tensor values = file.load(scale).to(at::kFloat);
  check((values.isfinite() & (values >= 0)).all().item<bool>(), file.source(), ": ", scale, " holds ",
        values.min().item<float>(), " to ", values.max().item<float>(), ", expected finite numbers from 0 on");
}

bool becomes_8_bits(const std::string& name, const ProductWeight& product) {
  return product.weight.dim() == 2 && name.starts_with("blocks.") &&
         (name.find("attn.") != name.npos || name.find("ffn.") != name.npos);
}

void save_product(TensorMap& tensors, const std::string& layer, const ProductWeight& product, at::ScalarType dtype) {
  const std::string name = layer + ".weight";
  const bool plain = !product.in_8_bits() && !product.has_low_rank();
  if (dtype == at::kFloat8_e4m3fn && becomes_8_bits(name, product)) {
    const bool kept = product.in_8_bits() && !product.has_low_rank();
    const Scaled8Bit bits = kept ? Scaled8Bit{product.weight.detach(), product.weight_scale.detach()}
                                 : to_8_bits(product.weight_in(at::kFloat));
    tensors[name] = bits.values;
    tensors[layer + std::string(kScales[0])] = bits.scale;
    tensors[kMarker] = at::zeros({2}, at::kFloat).to(at::kFloat8_e4m3fn);  // two values: multiply in full precision
    return;
  }
  if (dtype == at::kFloat8_e4m3fn) dtype = at::kBFloat16;
  tensors[name] = plain ? product.weight.detach().to(dtype)
                        : product.weight_in(at::kFloat).detach().view(product.weight.sizes()).to(dtype);
}

}  // namespace

ScaledWeights find_scaled_weights(const Safetensors& file) {
  ScaledWeights found;
  check_metadata(file);
  const std::vector<std::string> names = file.names();
  for (const std::string& name : names) {
    if (name.ends_with(".comfy_quant")) check_comfy_quant(file, name);
    if (name == kMarker || std::ranges::any_of(kMarkers, [&](std::string_view end) { return name.ends_with(end); }))
      found.markers.insert(name);
  }
  for (const std::string& name : names) {
    const std::string weight = weight_of(name);
    if (weight.empty()) continue;
    check_pair(file, weight, name);
    const auto [other, fresh] = found.scale_of.emplace(weight, name);
    check(fresh, file.source(), ": ", other->second, " and ", name, " are scales of the same weight");
  }
  return found;
}

void expect_scaled_weights(torch::nn::Module& module, const Safetensors& file, LoadOptions& options) {
  const ScaledWeights scaled = find_scaled_weights(file);
  if (scaled.scale_of.empty()) return;
  const auto file_name_of = options.file_name_of;
  const auto file_name = [file_name_of](const std::string& name) { return file_name_of ? file_name_of(name) : name; };
  for (const auto& item : module.named_modules("", /*include_self=*/false)) {
    auto* product = dynamic_cast<ProductWeight*>(item.value().get());
    if (!product) continue;
    const auto scale = scaled.scale_of.find(file_name(item.key() + ".weight"));
    if (scale != scaled.scale_of.end()) product->store_in_8_bits(file.shape(scale->second));
  }
  options.file_name_of = [file_name, scaled](const std::string& name) {
    if (!is_weight_scale(name)) return file_name(name);
    const std::string weight = file_name(name.substr(0, name.rfind('.')) + ".weight");
    const auto scale = scaled.scale_of.find(weight);
    return scale == scaled.scale_of.end() ? name : scale->second;
  };
}

FileFit scaled_file_fit(torch::nn::Module& module, const Safetensors& file, LoadOptions options) {
  expect_scaled_weights(module, file, options);
  FileFit fit = file_fit(module, file, options);
  const std::set<std::string> markers = find_scaled_weights(file).markers;
  std::erase_if(fit.report.unused, [&](const std::string& name) { return markers.contains(name); });
  return fit;
}

void quantise_weights(torch::nn::Module& module) {
  const at::NoGradGuard no_grad;
  for (const auto& item : module.named_modules("", /*include_self=*/false)) {
    auto* product = dynamic_cast<ProductWeight*>(item.value().get());
    if (!product || product->in_8_bits() || !becomes_8_bits(item.key() + ".weight", *product)) continue;
    const Scaled8Bit bits = to_8_bits(product->weight);
    product->store_in_8_bits({});
    product->weight.copy_(bits.values);
    product->weight_scale.copy_(bits.scale);
  }
}

TensorMap saved_tensors(const torch::nn::Module& module,
                        const std::function<at::ScalarType(const std::string&)>& dtype_of) {
  TensorMap tensors;
  std::set<std::string> done;
  for (const auto& item : module.named_modules("", /*include_self=*/false)) {
    const auto* product = dynamic_cast<const ProductWeight*>(item.value().get());
    if (!product) continue;
    const std::string name = item.key() + ".weight";
    save_product(tensors, item.key(), *product, dtype_of(name));
    done.insert(name);
  }
  for (const auto& [name, tensor] : named_tensors(module)) {
    if (done.contains(name) || is_low_rank(name) || is_weight_scale(name)) continue;
    const at::ScalarType dtype = dtype_of(name);
    tensors[name] = tensor.detach().to(dtype == at::kFloat8_e4m3fn ? at::kBFloat16 : dtype);
  }
  return tensors;
}

}  // namespace moga
