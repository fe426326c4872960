import pytest

from storage_nodes.folder import FolderNode
from storage_nodes.testing.contract import NodeContract
from storage_nodes.testing.flaky import FlakyNode
from storage_nodes.testing.memory import MemoryNode
from storage_nodes.wrappers.counting import Counted
from storage_nodes.wrappers.usual import guarded
from storage_nodes.wrappers.verify import Proof, Verified


class TestMemory(NodeContract):
    @pytest.fixture
    def node(self):
        return MemoryNode()


class TestFolder(NodeContract):
    @pytest.fixture
    def node(self, tmp_path):
        node = FolderNode("node-a", "east", tmp_path / "node")
        node.prepare()
        return node


class TestWrapped(NodeContract):
    @pytest.fixture
    def node(self, tmp_path):
        node = FolderNode("node-a", "east", tmp_path / "node")
        node.prepare()
        return Counted(Verified(guarded(FlakyNode(node)), Proof.READ_BACK))
