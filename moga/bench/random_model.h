// Models with random weights, on their device and in the dtypes in which they are loaded, and random inputs for them.
#pragma once

#include "moga/model/text/text_encoder.h"
#include "moga/model/video_model.h"

namespace moga {

// Filled on the device, the head as well.
VideoModelPtr random_video_model(const VideoModelConfig& config, c10::Device device, c10::ScalarType dtype);

// Sets the routers' biases so that all groups are about equally large, as after training with the balance loss: random
// routers send most tokens to one group. Layer by layer in one evaluation of a video of this shape, or of `input`: each
// router is set before it routes, so that the layers behind it see what they will see.
void even_routers(VideoModel& model, const VideoShape& video, c10::Device device, c10::ScalarType dtype);
// Returns the evaluation's group_histogram.
at::Tensor even_routers(VideoModel& model, VideoModelInput input, c10::ScalarType dtype);
// Rank 0's routers on every rank: each has evened its own.
void share_routers(const VideoModel& model, const ProcessGroup& ranks);

// Moves the blocks' weights, with their values, to host memory, from where they are streamed
// (VideoModel::stream_blocks).
void stream_blocks(VideoModel& model, c10::Device device);

TextEncoder random_text_encoder(const TextEncoderConfig& config, c10::Device device, c10::ScalarType dtype);

// Standard normal; the same values for the same index.
at::Tensor random_tensor(at::IntArrayRef shape, int64_t index, c10::Device device, c10::ScalarType dtype);

// Embeddings of the captions of `shots` shots.
at::Tensor random_text(const VideoModelConfig& config, int64_t shots, c10::Device device, c10::ScalarType dtype);

// What a model of images is given besides (VideoModelInput): each shot shows an image. Empty for models of text alone.
std::vector<at::Tensor> random_condition(const VideoModelConfig& config, const std::vector<VideoShape>& videos,
                                         c10::Device device);
ImageTokens random_image_tokens(const VideoModelConfig& config, int64_t shots, c10::Device device,
                                c10::ScalarType dtype);

// The input of one evaluation: latents, captions and images of these videos; `dtype` is that of the text.
VideoModelInput random_input(const VideoModelConfig& config, const std::vector<VideoShape>& videos, c10::Device device,
                             c10::ScalarType dtype);

}  // namespace moga
