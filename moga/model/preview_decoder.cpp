// See preview_decoder.h.
#include "moga/model/preview_decoder.h"

#include <ATen/ATen.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"

namespace moga {
namespace {

constexpr int64_t kColours = 3;
constexpr int64_t kFramesAtOnce = 16;  // float32 pictures that are in memory together
constexpr double kPeak = 2;            // from -1 to 1

std::vector<double> numbers_of(const nlohmann::json& file, const char* key, size_t count, const std::string& source) {
  const auto found = file.find(key);
  check(found != file.end() && found->is_array() && found->size() == count, source, ": ", key, " is not a list of ",
        count, " numbers");
  std::vector<double> numbers;
  for (const nlohmann::json& number : *found) {
    check(number.is_number() && std::isfinite(number.get<double>()), source, ": ", key, " holds what is not a number");
    numbers.push_back(number.get<double>());
  }
  return numbers;
}

double number_of(const nlohmann::json& file, const char* key, const std::string& source) {
  const auto found = file.find(key);
  check(found != file.end() && found->is_number(), source, ": ", key, " is not a number");
  return found->get<double>();
}

PreviewMap map_of(const nlohmann::json& file, const char* key, int64_t latent_channels, const std::string& source) {
  const auto found = file.find(key);
  check(found != file.end() && found->is_object(), source, ": ", key,
        " is not a map of latents; `moga train preview` makes the file again");
  const std::string where = source + ": " + key;
  const auto weight = numbers_of(*found, "weight", static_cast<size_t>(kColours * latent_channels), where);
  const auto bias = numbers_of(*found, "bias", kColours, where);
  return {.weight = at::tensor(weight, at::kFloat).reshape({kColours, latent_channels}),
          .bias = at::tensor(bias, at::kFloat)};
}

std::vector<double> list_of(const at::Tensor& tensor) {
  const at::Tensor own = tensor.to(at::kCPU, at::kDouble).contiguous();
  return {own.const_data_ptr<double>(), own.const_data_ptr<double>() + own.numel()};
}

nlohmann::ordered_json json_of(const PreviewMap& map) {
  return {{"weight", list_of(map.weight)}, {"bias", list_of(map.bias)}};
}

// Means over the pixels of each latent position: [3, T, Y, X] → [3, F, Y', X'].
at::Tensor at_latents(const at::Tensor& video, at::IntArrayRef latent) {
  const int64_t frames = latent[1];
  const at::Tensor small = at::adaptive_avg_pool2d(video.transpose(0, 1), latent.slice(2)).transpose(0, 1);
  if (frames == 1) return small;
  const int64_t stride = (video.size(1) - 1) / (frames - 1);
  const at::Tensor rest = small.narrow(1, 1, small.size(1) - 1);
  const at::Tensor means = rest.reshape({kColours, frames - 1, stride, latent[2], latent[3]}).mean(2);
  return at::cat({small.narrow(1, 0, 1), means}, 1);
}

// Latent frames [·, z, Y', X'] → colours [·, 3, Y', X'].
at::Tensor colours_of(const PreviewMap& map, const at::Tensor& frames) {
  return at::conv2d(frames.to(at::kFloat), map.weight.to(frames.device()).reshape({kColours, -1, 1, 1}),
                    map.bias.to(frames.device()));
}

}  // namespace

at::Tensor PreviewDecoder::decode(const at::Tensor& latent, int64_t scale) const {
  const at::NoGradGuard no_grad;
  const std::vector<int64_t> size = {scale * latent.size(2), scale * latent.size(3)};
  std::vector<at::Tensor> pictures;
  const auto draw = [&](const PreviewMap& map, const at::Tensor& frames) {
    const at::Tensor small = colours_of(map, frames);
    const at::Tensor large = scale == 1 ? small : at::upsample_bilinear2d(small, size, /*align_corners=*/false);
    pictures.push_back(((large + 1) * (255 / kPeak)).round().clamp(0, 255).to(at::kByte));
  };
  const at::Tensor frames = latent.transpose(0, 1);  // [F, z, Y', X']
  draw(first, frames.narrow(0, 0, 1));
  for (int64_t begin = 1; begin < frames.size(0); begin += kFramesAtOnce)
    draw(later, frames.slice(0, begin, begin + kFramesAtOnce));
  return at::cat(pictures);
}

PreviewDecoder load_preview_decoder(const std::filesystem::path& codec_folder, int64_t latent_channels) {
  const std::filesystem::path file = codec_folder / kPreviewFile;
  check(std::filesystem::exists(file), file.string(), ": there is none; `moga train preview ", codec_folder.string(),
        "` makes it");
  const nlohmann::json json = parse_json_object(read_text(file, kMostConfigBytes), file.string());
  return {.first = map_of(json, "first", latent_channels, file.string()),
          .later = map_of(json, "later", latent_channels, file.string()),
          .explained = number_of(json, "explained", file.string()),
          .psnr = number_of(json, "psnr", file.string())};
}

void save_preview_decoder(const std::filesystem::path& codec_folder, const PreviewDecoder& decoder) {
  const nlohmann::ordered_json json = {{"first", json_of(decoder.first)},
                                       {"later", json_of(decoder.later)},
                                       {"explained", decoder.explained},
                                       {"psnr", decoder.psnr}};
  write_text(codec_folder / kPreviewFile, json.dump(1) + "\n");
}

PreviewFit::Sums::Sums(int64_t latent_channels)
    : latents(at::zeros({latent_channels + 1, latent_channels + 1}, at::kDouble)),
      products(at::zeros({latent_channels + 1, kColours}, at::kDouble)),
      colours(at::zeros({kColours}, at::kDouble)),
      squares(at::zeros({kColours}, at::kDouble)) {}

// latent [z, F, Y', X'], its colours [3, F, Y', X']
void PreviewFit::Sums::add(const at::Tensor& latent, const at::Tensor& pictures) {
  const at::Tensor own = latent.to(at::kCPU, at::kDouble).reshape({latent.size(0), -1}).t();  // [positions, z]
  const at::Tensor rows = at::cat({own, at::ones({own.size(0), 1}, at::kDouble)}, 1);
  const at::Tensor seen = pictures.to(at::kDouble).reshape({kColours, -1}).t();
  latents += rows.t().mm(rows);
  products += rows.t().mm(seen);
  colours += seen.sum(0);
  squares += seen.square().sum(0);
  positions += own.size(0);
}

PreviewFit::PreviewFit(int64_t latent_channels) : first_(latent_channels), later_(latent_channels) {}

void PreviewFit::add(const at::Tensor& latent, const at::Tensor& video) {
  const at::NoGradGuard no_grad;
  const at::Tensor pictures = at_latents(video.to(at::kCPU, at::kFloat), latent.sizes());
  first_.add(latent.narrow(1, 0, 1), pictures.narrow(1, 0, 1));
  later_.add(latent.slice(1, 1), pictures.slice(1, 1));
}

PreviewFit::Solution PreviewFit::solve(const Sums& sums) {
  const int64_t channels = sums.latents.size(0) - 1;
  check(sums.positions > channels, "a preview decoder of ", channels, " channels needs more than ", sums.positions,
        " latent positions, in clips of more than one latent frame");
  // A little of the diagonal keeps channels that never vary from spoiling the rest.
  const at::Tensor damped =
      sums.latents + at::diag(sums.latents.diagonal()) * 1e-9 + at::eye(channels + 1, at::kDouble) * 1e-9;
  const at::Tensor factor = at::linalg_cholesky(damped);
  const at::Tensor solution = at::cholesky_solve(sums.products, factor);  // [z+1, 3]
  // Σ (c − ĉ)² = Σ c² − 2 ĉ·c + ĉ², by the sums.
  const at::Tensor errors =
      sums.squares.sum() - 2 * (solution * sums.products).sum() + (solution * sums.latents.mm(solution)).sum();
  const at::Tensor variance = (sums.squares - sums.colours.square() / static_cast<double>(sums.positions)).sum();
  return {.map = {.weight = solution.narrow(0, 0, channels).t().contiguous().to(at::kFloat),
                  .bias = solution[channels].to(at::kFloat)},
          .errors = errors.clamp_min(0).item<double>(),
          .variance = variance.item<double>()};
}

PreviewDecoder PreviewFit::solve() const {
  const Solution first = solve(first_), later = solve(later_);
  const double errors = first.errors + later.errors, variance = first.variance + later.variance;
  const double mean = errors / static_cast<double>(kColours * (first_.positions + later_.positions));
  return {.first = first.map,
          .later = later.map,
          .explained = variance > 0 ? 1 - errors / variance : 0,
          .psnr = 10 * std::log10(kPeak * kPeak / std::max(mean, 1e-12))};
}

}  // namespace moga
