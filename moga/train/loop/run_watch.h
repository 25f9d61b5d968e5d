// Reads the lines of a run's log and names what goes wrong when it begins, and when it is over:
//
//   routing collapses   the largest group of a layer is more than halfway from an even fraction 1/M to all tokens
//   a group starves     it has less than 1/20 of an even fraction
//   the loss jumps      above 1.5 times its median over the last 10 lines
//   gradients explode   above 10 times that median of their norm
//   gradients vanish    below 1/1000 of it
//   overfitting         the held-out loss is more than 5 % above its lowest so far
//
// Of gradients the norm of all, that of each part and that of each layer is watched; a jump of the loss names the layer
// whose gradient grew most. A line's keys: "loss", "gradient_norm", "gradient_norms": {part: norm},
// "gradient_norm_layers": [layers], "held_out_loss" and, of models with routers, "groups": fractions of the tokens
// [layers][M], empty for a layer without a router.
#pragma once

#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace moga {

class RunWatch {
 public:
  // What begins or ends with this line, a sentence each.
  std::vector<std::string> read(const nlohmann::json& line);

 private:
  // A state that is named when it begins and when it ends.
  struct Alarm {
    bool on = false;
    bool begins = false;  // with this line; Norms only
    bool changes(bool now);
  };

  void read_groups(const nlohmann::json& layers, std::vector<std::string>& news);
  void read_loss(const nlohmann::json& line, std::vector<std::string>& news);
  void read_norms(const nlohmann::json& line, std::vector<std::string>& news);
  void read_held_out(double loss, std::vector<std::string>& news);

  std::set<int64_t> collapsed_;                     // layers
  std::set<std::pair<int64_t, int64_t>> starving_;  // layer, group
  std::deque<double> losses_;                       // of the last lines
  Alarm jump_, overfitting_;
  struct Norms {
    std::deque<double> last;
    Alarm explosion, vanishing;
    double before = 0;  // median of the lines before the one just read
    void read(double norm);
  };
  std::string steepest_layer(const nlohmann::json& line) const;

  std::map<std::string, Norms> norms_;  // "" is that of all parts
  std::map<int64_t, Norms> layers_;
  std::optional<double> lowest_;  // held-out loss
};

}  // namespace moga
