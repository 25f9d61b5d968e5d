// See random_piece.h.
#include "moga/bench/random_piece.h"

#include <ATen/ATen.h>

#include "moga/bench/random_model.h"
#include "moga/core/random.h"

namespace moga {

TrainBatch random_piece(const RandomPiece& random, c10::Device device, c10::ScalarType dtype) {
  const VideoModelConfig& model = *random.config.transformer;
  const VideoShape& video = random.video;
  const std::vector<int64_t> shape = model.latent_shape(video);
  TrainBatch piece;
  piece.latents.shapes.assign(random.videos, shape);
  piece.latents.values = at::randn({random.videos * c10::multiply_integers(shape)},
                                   random_stream(0, "bench", 0, device), at::TensorOptions(at::kFloat).device(device));
  piece.layout.videos.assign(random.videos, video);
  const int64_t captions = piece.layout.shots();
  piece.condition = random_condition(model, piece.layout.videos, device);
  piece.image = random_image_tokens(model, captions, device, at::kFloat);
  if (random.config.text == TextSource::kStored) {
    piece.text = random_text(model, captions, device, dtype);
    return piece;
  }
  const int64_t text_tokens = model.conditioning().text_tokens;
  piece.ids = at::ones({captions, text_tokens}, at::TensorOptions(at::kLong).device(device));
  piece.lengths = at::full({captions}, text_tokens, piece.ids.options());
  return piece;
}

}  // namespace moga
