"""The few shaders a street needs, made once a worker; a scene only turns their knobs.

Nearly everything takes its colour from a face attribute (`tint`) or from the object (`body`), so the number of shaders
stays small and the meshes are shared. Diffuse and glossy closures are mixed by hand: the principled closure costs
twice as much.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from . import textures


def image(name: str, pixels: np.ndarray) -> Any:
    """A packed byte image from HxWx4 linear floats, row 0 at v = 0."""
    made = bpy.data.images.new(name, pixels.shape[1], pixels.shape[0], alpha=True)
    made.colorspace_settings.name = "sRGB"
    made.alpha_mode = "CHANNEL_PACKED"
    coded = pixels.copy()
    coded[..., :3] = np.where(
        coded[..., :3] <= 0.0031308,
        coded[..., :3] * 12.92,
        1.055 * np.maximum(coded[..., :3], 1e-9) ** (1 / 2.4) - 0.055,
    )
    made.pixels.foreach_set(coded.astype(np.float32).ravel())
    made.update()
    return made


class Graph:
    """Terse node building; a value is a number, a colour or an output socket."""

    def __init__(self, tree: Any) -> None:
        self.tree = tree
        tree.nodes.clear()

    def node(self, kind: str, inputs: dict | None = None, **settings: Any) -> Any:
        made = self.tree.nodes.new(kind)
        for name, value in settings.items():
            setattr(made, name, value)
        for key, value in (inputs or {}).items():
            self.put(made.inputs[key], value)
        return made

    def put(self, socket: Any, value: Any) -> None:
        if hasattr(value, "is_output"):
            self.tree.links.new(value, socket)
        elif hasattr(value, "__len__") and len(value) == 3 and socket.type == "RGBA":
            socket.default_value = (*value, 1.0)
        else:
            socket.default_value = value

    def math(self, operation: str, a: Any, b: Any = 0.0, clamp: bool = False) -> Any:
        return self.node("ShaderNodeMath", {0: a, 1: b}, operation=operation, use_clamp=clamp).outputs[0]

    def vector(self, operation: str, a: Any, b: Any = (0, 0, 0)) -> Any:
        made = self.node("ShaderNodeVectorMath", {0: a}, operation=operation)
        if operation == "SCALE":
            self.put(made.inputs["Scale"], b)
        else:
            self.put(made.inputs[1], b)
        return made.outputs["Value" if operation == "DOT_PRODUCT" else "Vector"]

    def mix(self, factor: Any, a: Any, b: Any, blend: str = "MIX") -> Any:
        made = self.node("ShaderNodeMix", data_type="RGBA", blend_type=blend)
        for index, value in ((0, factor), (6, a), (7, b)):
            self.put(made.inputs[index], value)
        return made.outputs[2]

    def texture(self, name: str, vector: Any, extension: str = "REPEAT") -> Any:
        return self.node("ShaderNodeTexImage", {"Vector": vector}, image=bpy.data.images[name], extension=extension)

    def world_uv(self, metres: float, offset: Any = None) -> Any:
        place = self.node("ShaderNodeNewGeometry").outputs["Position"]
        place = self.vector("SCALE", place, 1.0 / metres)
        return place if offset is None else self.vector("ADD", place, offset)

    def split(self, colour: Any) -> list[Any]:
        return list(self.node("ShaderNodeSeparateColor", {0: colour}).outputs)

    def attribute(self, name: str = "tint") -> Any:
        return self.node("ShaderNodeAttribute", attribute_name=name).outputs["Color"]

    def diffuse(self, colour: Any) -> Any:
        return self.node("ShaderNodeBsdfDiffuse", {"Color": colour}).outputs[0]

    def glossy(self, colour: Any, roughness: Any) -> Any:
        return self.node("ShaderNodeBsdfAnisotropic", {"Color": colour, "Roughness": roughness}).outputs[0]

    def emission(self, colour: Any, strength: Any = 1.0) -> Any:
        return self.node("ShaderNodeEmission", {"Color": colour, "Strength": strength}).outputs[0]

    def blend(self, factor: Any, a: Any, b: Any) -> Any:
        return self.node("ShaderNodeMixShader", {0: factor, 1: a, 2: b}).outputs[0]

    def add(self, a: Any, b: Any) -> Any:
        return self.node("ShaderNodeAddShader", {0: a, 1: b}).outputs[0]

    def fresnel(self, low: float, high: float) -> Any:
        """Reflectance from head-on to grazing: facing^5 between two values."""
        facing = self.node("ShaderNodeLayerWeight", {"Blend": 0.5}).outputs["Facing"]
        return self.math("ADD", self.math("MULTIPLY", self.math("POWER", facing, 4.0), high - low), low)

    def surface(self, shader: Any) -> None:
        self.tree.links.new(shader, self.node("ShaderNodeOutputMaterial").inputs["Surface"])


class Shaders:
    """All materials by name, and the knobs a scene sets on them."""

    def __init__(self) -> None:
        self.knobs: dict[str, list[Any]] = {}
        self.materials: dict[str, Any] = {}
        for name in ("asphalt", "wear", "slabs", "grass", "rough", "shop", "roof"):
            image(name, getattr(textures, name)())
        self._painted: set[str] = set()
        for name in (
            "matte",
            "gloss",
            "retro",
            "emit",
            "sign",
            "body",
            "glass",
            "leaf",
            "concrete",
            "roof",
            "asphalt",
            "sidewalk",
            "grass",
            "dirt",
            "paint",
        ):
            getattr(self, f"_{name}")(self._new(name))
        self._facade("shop", 0.35)

    def _new(self, name: str) -> Graph:
        made = bpy.data.materials.new(name)
        if made.node_tree is None:
            made.use_nodes = True
        made.cycles.emission_sampling = "NONE"  # lamps light the scene, lit faces are only seen
        self.materials[name] = made
        return Graph(made.node_tree)

    def get(self, name: str) -> Any:
        """A material; facades are painted when first asked for."""
        if name not in self.materials:
            if name.startswith("facade"):
                image(name, textures.facade(int(name[6:])))
            else:
                image(name, textures.house(int(name[5:])))
            self._facade(name, 1.0)
        return self.materials[name]

    def knob(self, graph: Graph, name: str, value: float = 0.0) -> Any:
        made = graph.node("ShaderNodeValue")
        made.outputs[0].default_value = value
        self.knobs.setdefault(name, []).append(made.outputs[0])
        self._values = getattr(self, "_values", {})
        made.outputs[0].default_value = self._values.get(name, value)
        return made.outputs[0]

    def tone(self, graph: Graph, name: str) -> Any:
        made = graph.node("ShaderNodeRGB")
        self.knobs.setdefault(name, []).append(made.outputs[0])
        self._values = getattr(self, "_values", {})
        if name in self._values:
            made.outputs[0].default_value = (*self._values[name], 1.0)
        return made.outputs[0]

    def turn(self, **values: Any) -> None:
        """Set knobs: a number, or three for a tone."""
        self._values = getattr(self, "_values", {})
        self._values.update(values)
        for name, value in values.items():
            for socket in self.knobs.get(name, ()):
                socket.default_value = (*value, 1.0) if hasattr(value, "__len__") else value

    def _snowed(self, g: Graph, colour: Any, share: float = 1.0) -> Any:
        """White on what looks up, by the scene's snow cover."""
        normal = g.node("ShaderNodeNewGeometry").outputs["Normal"]
        up = g.math("SUBTRACT", g.vector("DOT_PRODUCT", normal, (0, 0, 1)), 0.25)
        cover = g.math(
            "MULTIPLY", g.math("MULTIPLY", up, 3.0, clamp=True), g.math("MULTIPLY", self.knob(g, "snow"), share)
        )
        return g.mix(cover, colour, (0.78, 0.80, 0.84))

    def _matte(self, g: Graph) -> None:
        g.surface(g.diffuse(g.attribute()))

    def _gloss(self, g: Graph) -> None:
        colour = g.attribute()
        g.surface(g.blend(g.fresnel(0.04, 0.28), g.diffuse(colour), g.glossy((0.9, 0.9, 0.9), 0.32)))

    def _retro(self, g: Graph) -> None:
        """Retroreflective: at night it returns the headlamps, here a glow."""
        colour = g.attribute()
        g.surface(g.add(g.diffuse(colour), g.emission(colour, self.knob(g, "retro"))))

    def _emit(self, g: Graph) -> None:
        g.surface(g.emission(g.attribute(), 1.0))

    def _sign(self, g: Graph) -> None:
        colour = g.attribute()
        g.surface(g.add(g.diffuse(colour), g.emission(colour, self.knob(g, "signs"))))

    def _body(self, g: Graph) -> None:
        colour = g.node("ShaderNodeObjectInfo").outputs["Color"]
        g.surface(
            g.blend(g.fresnel(0.05, 0.42), g.diffuse(self._snowed(g, colour, 0.5)), g.glossy((0.95, 0.95, 0.95), 0.2))
        )

    def _glass(self, g: Graph) -> None:
        g.surface(g.blend(g.fresnel(0.07, 0.55), g.diffuse(g.attribute()), g.glossy((0.9, 0.95, 1.0), 0.05)))

    def _leaf(self, g: Graph) -> None:
        info = g.node("ShaderNodeObjectInfo")
        colour = g.mix(1.0, g.attribute(), info.outputs["Color"], "MULTIPLY")
        colour = self._snowed(g, colour, 0.6)
        through = g.node("ShaderNodeBsdfTranslucent", {"Color": colour}).outputs[0]
        g.surface(g.blend(0.38, g.diffuse(colour), through))

    def _concrete(self, g: Graph) -> None:
        grain = g.texture("rough", self._box_uv(g, 8.0)).outputs["Color"]
        colour = g.mix(1.0, g.attribute(), g.vector("SCALE", grain, 1.55), "MULTIPLY")
        g.surface(g.diffuse(self._snowed(g, colour)))

    def _box_uv(self, g: Graph, metres: float) -> Any:
        x, y, z = g.node("ShaderNodeSeparateXYZ", {0: g.world_uv(metres)}).outputs
        return g.node("ShaderNodeCombineXYZ", {0: g.math("ADD", x, y), 1: z}).outputs[0]

    def _roof(self, g: Graph) -> None:
        uv = g.vector("SCALE", g.node("ShaderNodeUVMap", uv_map="uv").outputs[0], 1 / 3)
        tile = g.texture("roof", uv).outputs["Color"]
        g.surface(g.diffuse(self._snowed(g, g.mix(1.0, g.attribute(), g.vector("SCALE", tile, 1.6), "MULTIPLY"))))

    def _facade(self, name: str, tinted: float) -> None:
        g = self._new(name)
        sample = g.texture(name, g.node("ShaderNodeUVMap", uv_map="uv").outputs[0])
        glass = g.math("GREATER_THAN", sample.outputs["Alpha"], 0.25)
        lit = g.math("GREATER_THAN", sample.outputs["Alpha"], 0.75)
        wall = g.mix(tinted, sample.outputs["Color"], g.mix(1.0, sample.outputs["Color"], g.attribute(), "MULTIPLY"))
        shine = g.math("MULTIPLY", glass, g.fresnel(0.12, 0.75))
        shader = g.blend(shine, g.diffuse(wall), g.glossy((0.85, 0.9, 0.95), 0.02))
        glow = g.mix(
            1.0,
            (1.0, 0.72, 0.40),
            g.mix(0.5, (0.6, 0.6, 0.6), g.vector("SCALE", sample.outputs["Color"], 4.0)),
            "MULTIPLY",
        )
        g.surface(
            g.add(
                shader,
                g.emission(glow, g.math("MULTIPLY", lit, self.knob(g, "windows" if name != "shop" else "shops"))),
            )
        )

    def _ground(self, g: Graph, colour: Any, wetting: float, snow_share: float) -> Any:
        """Wet darkening and puddles, then snow with tracks left by the noise."""
        wear = g.texture("wear", g.world_uv(20.0))
        puddle = g.split(wear.outputs["Color"])[1]
        wet = self.knob(g, "wet")
        dark = g.mix(g.math("MULTIPLY", wet, wetting), colour, g.vector("SCALE", colour, 0.42))
        pool = g.math(
            "MULTIPLY",
            g.math(
                "SUBTRACT", g.math("MULTIPLY", puddle, 1.4), g.math("SUBTRACT", 1.12, g.math("MULTIPLY", wet, 0.75))
            ),
            5.0,
            clamp=True,
        )
        snow = g.math("SUBTRACT", g.math("MULTIPLY", self.knob(g, "snow"), 2.0 * snow_share), wear.outputs["Alpha"])
        cover = g.math("MULTIPLY", snow, 5.0, clamp=True)
        base = g.diffuse(g.mix(cover, dark, (0.74, 0.76, 0.80)))
        rough = g.math("SUBTRACT", 0.32, g.math("MULTIPLY", pool, 0.27))
        shine = g.math("MULTIPLY", g.math("MULTIPLY", wet, g.math("SUBTRACT", 1.0, cover)), g.fresnel(0.035, 0.80))
        shine = g.math("MULTIPLY", shine, g.math("ADD", 0.5 * wetting, g.math("MULTIPLY", pool, 0.5)))
        return g.blend(shine, base, g.glossy((0.9, 0.9, 0.9), rough))

    def _asphalt_colour(self, g: Graph) -> tuple[Any, Any]:
        fine = g.texture("asphalt", g.world_uv(8.0)).outputs["Color"]
        coarse = g.texture("wear", g.world_uv(40.0)).outputs["Color"]
        stain, _, paint = g.split(coarse)
        tone = g.mix(1.0, self.tone(g, "asphalt"), fine, "MULTIPLY")
        # tyre tracks: two dark-polished bands a lane, in the ego lane's own frame
        place = g.node("ShaderNodeNewGeometry").outputs["Position"]
        across = g.node("ShaderNodeVectorMath", {0: place, 1: (0.0, 0.0, 0.0)}, operation="DOT_PRODUCT")
        self.knobs.setdefault("across", []).append(across.inputs[1])
        phase = g.math(
            "MULTIPLY", g.math("ADD", across.outputs["Value"], self.knob(g, "lane_offset")), 2 * np.pi / 1.65
        )
        track = g.math(
            "MULTIPLY", g.math("ADD", g.math("COSINE", phase), 1.0), g.math("MULTIPLY", self.knob(g, "tracks"), stain)
        )
        value = g.math("SUBTRACT", g.math("MULTIPLY", stain, 2.4), track)
        return g.vector("SCALE", tone, value), paint

    def _asphalt(self, g: Graph) -> None:
        g.surface(self._ground(g, self._asphalt_colour(g)[0], 1.0, 0.72))

    def _paint(self, g: Graph) -> None:
        """Road paint over asphalt; the face colour is the paint, its alpha the wear."""
        road, noise = self._asphalt_colour(g)
        fine = g.texture("asphalt", g.world_uv(2.0)).outputs["Color"]
        worn = g.node("ShaderNodeAttribute", attribute_name="tint").outputs["Alpha"]
        grit = g.math("ADD", noise, g.math("MULTIPLY", g.math("SUBTRACT", g.split(fine)[0], 0.62), 1.6))
        gone = g.math("MULTIPLY", g.math("SUBTRACT", worn, g.math("ADD", grit, -0.12)), 6.0, clamp=True)
        paint = g.mix(1.0, g.attribute(), g.vector("SCALE", fine, 1.5), "MULTIPLY")
        colour = g.mix(gone, paint, road)
        ground = self._ground(g, colour, 0.55, 0.70)
        glow = g.math("MULTIPLY", self.knob(g, "retro"), g.math("MULTIPLY", g.math("SUBTRACT", 1.0, gone), 0.25))
        g.surface(g.add(ground, g.emission(paint, glow)))

    def _sidewalk(self, g: Graph) -> None:
        slab = g.texture("slabs", g.world_uv(5.0)).outputs["Color"]
        stain = g.split(g.texture("wear", g.world_uv(40.0)).outputs["Color"])[0]
        colour = g.vector("SCALE", g.mix(1.0, g.attribute(), slab, "MULTIPLY"), g.math("MULTIPLY", stain, 3.0))
        g.surface(self._ground(g, colour, 0.8, 0.85))

    def _grass(self, g: Graph) -> None:
        blade = g.texture("grass", g.world_uv(8.0)).outputs["Color"]
        coarse = g.split(g.texture("wear", g.world_uv(40.0)).outputs["Color"])
        colour = g.mix(
            1.0, self.tone(g, "grass"), g.vector("SCALE", blade, g.math("MULTIPLY", coarse[1], 3.4)), "MULTIPLY"
        )
        g.surface(self._ground(g, colour, 0.25, 1.0))

    def _dirt(self, g: Graph) -> None:
        grain = g.texture("asphalt", g.world_uv(5.0)).outputs["Color"]
        coarse = g.split(g.texture("wear", g.world_uv(20.0)).outputs["Color"])
        colour = g.mix(
            1.0, self.tone(g, "dirt"), g.vector("SCALE", grain, g.math("MULTIPLY", coarse[0], 3.2)), "MULTIPLY"
        )
        g.surface(self._ground(g, colour, 0.8, 0.9))
