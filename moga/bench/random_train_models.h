// The models of a training run with random weights, made where they train: reads no file. Private to the folder.
#pragma once

#include "moga/train/video/train_models.h"

namespace moga {

// Float32, with an output layer that is not zero. The numbers are those of the device's default generator, so ranks
// that are in the same state have the same weights.
TrainModels random_train_models(const TrainConfig& config, c10::Device device);

// All train steps at the time t = 1/2, for which routers are evened: with random weights, tokens of other times are
// routed to other groups.
extern const FlowConfig kHalfway;

// Evens the routers (random_model.h) on what they see in a train step on a video of this shape. Routed attention of
// random routers can cost several times that of even groups. Returns the group_histogram.
at::Tensor even_train_routers(const TrainConfig& config, const TrainModels& models, const VideoShape& video,
                              c10::ScalarType dtype);

}  // namespace moga
