// A linear decoder of latents for previews: RGB = W latent + b at the latents' resolution, a picture for each latent
// frame. The first latent frame, which is one pixel frame, has its own W and b. The decoder costs next to nothing and
// shows what a film will be about. It is fitted once for a codec by least squares and kept in the codec's folder as
// preview.json, which no other program reads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>

namespace moga {

inline constexpr const char* kPreviewFile = "preview.json";

struct PreviewMap {
  at::Tensor weight;  // [3, z] float32, for colours in [-1, 1]
  at::Tensor bias;    // [3]
};

struct PreviewDecoder {
  PreviewMap first, later;  // of the first latent frame and of the others
  // Of the fit: the fraction of the pictures' variance that it explains, and the PSNR in dB at the latents' resolution.
  double explained = 0, psnr = 0;

  // Normalised latents [z, F, Y', X'] on any device → uint8 [F, 3, s·Y', s·X'] there, enlarged smoothly by `scale`.
  at::Tensor decode(const at::Tensor& latent, int64_t scale) const;
};

// Throws one line that says how the file is made when a folder has none, or when it does not fit the channels.
PreviewDecoder load_preview_decoder(const std::filesystem::path& codec_folder, int64_t latent_channels);
void save_preview_decoder(const std::filesystem::path& codec_folder, const PreviewDecoder& decoder);

// The sums of two least-squares fits, over any number of clips.
class PreviewFit {
 public:
  explicit PreviewFit(int64_t latent_channels);
  // latent [z, F, Y', X'], normalised; video float [3, T, Y, X] in [-1, 1]: the clip that it is of. Each latent
  // position is compared with the mean colour of its pixels, those of all its pixel frames.
  void add(const at::Tensor& latent, const at::Tensor& video);
  PreviewDecoder solve() const;

 private:
  struct Sums {
    at::Tensor latents, products;  // Σ l lᵀ [z+1, z+1], Σ l cᵀ [z+1, 3] float64, with l_z = 1
    at::Tensor colours, squares;   // Σ c [3], Σ c² [3]
    int64_t positions = 0;

    explicit Sums(int64_t latent_channels);
    void add(const at::Tensor& latent, const at::Tensor& colours);
  };
  struct Solution {
    PreviewMap map;
    double errors = 0, variance = 0;  // Σ (c − ĉ)², Σ (c − mean)²
  };
  static Solution solve(const Sums& sums);

  Sums first_, later_;
};

}  // namespace moga
