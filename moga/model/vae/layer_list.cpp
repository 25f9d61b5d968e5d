// See layer_list.h.
#include "moga/model/vae/layer_list.h"

#include "moga/core/interrupt.h"

namespace moga {

at::Tensor VaeLayers::forward(at::Tensor x, FeatureCache& cache) {
  for (const auto& layer : layers_) {
    stop_inside_if_interrupted();
    x = layer->forward(x, cache);
  }
  return x;
}

}  // namespace moga
