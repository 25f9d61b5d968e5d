// See run_watch.h.
#include "moga/train/loop/run_watch.h"

#include <algorithm>
#include <sstream>

namespace moga {
namespace {

constexpr size_t kMemory = 10, kLeast = 5;  // lines
constexpr double kJump = 1.5, kExplosion = 10, kVanishing = 1e-3;
constexpr double kStarving = 0.05;
constexpr size_t kMostListed = 8;

double median(const std::deque<double>& values) {
  std::vector<double> sorted(values.begin(), values.end());
  std::ranges::sort(sorted);
  return sorted[sorted.size() / 2];
}

void remember(std::deque<double>& values, double value) {
  values.push_back(value);
  if (values.size() > kMemory) values.pop_front();
}

std::string percent(double fraction) {
  std::ostringstream text;
  text.precision(2);
  text << 100 * fraction << " %";
  return text.str();
}

// "layer 3", "layers 3, 5 and 12 more".
std::string layers_text(const std::vector<int64_t>& layers) {
  std::string text = layers.size() == 1 ? "layer " : "layers ";
  const size_t listed = std::min(layers.size(), kMostListed);
  for (size_t i = 0; i < listed; ++i) text += (i == 0 ? "" : ", ") + std::to_string(layers[i]);
  return listed == layers.size() ? text : text + " and " + std::to_string(layers.size() - listed) + " more";
}

}  // namespace

bool RunWatch::Alarm::changes(bool now) {
  const bool changed = now != on;
  on = now;
  return changed;
}

std::vector<std::string> RunWatch::read(const nlohmann::json& line) {
  std::vector<std::string> news;
  if (const auto groups = line.find("groups"); groups != line.end()) read_groups(*groups, news);
  read_loss(line, news);
  return news;
}

void RunWatch::read_groups(const nlohmann::json& layers, std::vector<std::string>& news) {
  std::vector<int64_t> begun, over, hungry;
  std::string example, hungry_example;
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto layer = static_cast<int64_t>(i);
    const auto fractions = layers[i].get<std::vector<double>>();
    if (fractions.size() < 2) continue;
    const double even = 1 / static_cast<double>(fractions.size());
    const auto largest = std::ranges::max_element(fractions);
    const bool collapsed = *largest > (1 + even) / 2;
    if (collapsed && collapsed_.insert(layer).second) {
      begun.push_back(layer);
      if (example.empty())
        example = "group " + std::to_string(largest - fractions.begin()) + " of layer " + std::to_string(layer) +
                  " has " + percent(*largest) + " of the tokens, evenly it would have " + percent(even);
    }
    if (!collapsed && collapsed_.erase(layer) > 0) over.push_back(layer);
    if (collapsed) continue;  // its other groups starve
    for (size_t g = 0; g < fractions.size(); ++g) {
      const std::pair key{layer, static_cast<int64_t>(g)};
      if (fractions[g] >= kStarving * even) starving_.erase(key);
      if (fractions[g] >= kStarving * even || !starving_.insert(key).second) continue;
      if (hungry.empty() || hungry.back() != layer) hungry.push_back(layer);
      if (hungry_example.empty())
        hungry_example = "group " + std::to_string(g) + " of layer " + std::to_string(layer) + " has " +
                         percent(fractions[g]) + " of the tokens, evenly it would have " + percent(even);
    }
  }
  if (!begun.empty()) news.push_back("routing has collapsed in " + layers_text(begun) + ": " + example);
  if (!over.empty()) news.push_back("routing is no longer collapsed in " + layers_text(over));
  if (!hungry.empty()) news.push_back("groups starve in " + layers_text(hungry) + ": " + hungry_example);
}

void RunWatch::read_loss(const nlohmann::json& line, std::vector<std::string>& news) {
  const auto loss = line.value("loss", 0.0), norm = line.value("gradient_norm", 0.0);
  if (losses_.size() >= kLeast) {
    const double usual_loss = median(losses_), usual_norm = median(norms_);
    std::ostringstream text;
    text.precision(3);
    if (jump_.changes(loss > kJump * usual_loss))
      text << (jump_.on ? "the loss jumps to " : "the loss is down again at ") << loss << ", median before "
           << usual_loss;
    if (explosion_.changes(norm > kExplosion * usual_norm) && explosion_.on)
      text << (text.tellp() > 0 ? "; " : "") << "the gradient norm grows to " << norm << ", median before "
           << usual_norm;
    if (vanishing_.changes(norm < kVanishing * usual_norm) && vanishing_.on)
      text << (text.tellp() > 0 ? "; " : "") << "gradients vanish: their norm is " << norm << ", median before "
           << usual_norm;
    if (text.tellp() > 0) news.push_back(text.str());
  }
  if (!jump_.on) remember(losses_, loss);
  if (!explosion_.on && !vanishing_.on) remember(norms_, norm);
}

}  // namespace moga
